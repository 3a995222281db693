"""A pytest plugin: tests register sessions with the fixture `reap`, and what is left of them is stopped at the end.

pytest loads it by itself wherever reaper is installed. Until a test registers something, and where no token is
configured, it does nothing; what it needs of reaper is imported when there is something to stop. docs/pytest.md.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reaper.core.errors import ConfigError, ReaperError, UsageError
from reaper.core.ids import check_id
from reaper.core.text import sanitize
from reaper.library.pytest.registry import Lists
from reaper.settings.state_dir import state_dir

if TYPE_CHECKING:
    from reaper.library.options import EffectiveOptions
    from reaper.library.summary import Summary

LEDGER = "reaper.db"
BUDGET_S = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reaper", "hosted sessions (reaper)")
    group.addoption(
        "--reap-ledger", metavar="DIR", help="where registered sessions are written down (default: reaper's state dir)"
    )
    group.addoption(
        "--no-reap", action="store_true", help="stop nothing at the end: what is registered is left to the next run"
    )
    parser.addini("reap_ledger", "directory for registered sessions, relative to the root directory", default="")
    parser.addini("reap_for", "most seconds that stopping sessions at the end may take", default=f"{BUDGET_S:g}")


@pytest.fixture(scope="session")
def reap(request: pytest.FixtureRequest) -> Reap:
    """Register a session, as `reap(session_id)`: whatever becomes of this run, it is stopped in the end."""
    return request.config.stash[_PLACE].reap


@dataclass(slots=True)
class Reap:
    """What the fixture `reap` hands out. May be called from any thread, and inside an event loop."""

    lists: Lists
    config: pytest.Config
    lack: str | None = None
    """Why nothing is written down or stopped."""
    count: int = 0
    _known: bool = False

    def __call__(self, session_id: str) -> str:
        """Write a session ID down, durably, and return it.

        Raises UsageError when it is malformed, ConfigError when a setting is wrong; without a token it is only counted.
        """
        try:
            check_id(session_id)
        except ValueError as error:
            raise UsageError(f"{sanitize(session_id)}: {error}") from error
        if not self._known:
            self.lack = _missing_reason(_effective(self.lists.root))
            self._known = True
        self.count += 1
        if self.lack is None:
            self.lists.write(session_id)
        return session_id


@dataclass(slots=True)
class _Place:
    """What the plugin knows of one run."""

    reap: Reap
    began_at: float = field(default_factory=time.time)
    told: list[tuple[str, bool]] = field(default_factory=list)
    """Lines for the end, and whether each is good news."""


_PLACE = pytest.StashKey[_Place]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_PLACE] = _Place(Reap(Lists(_root(config)), config))


@pytest.hookimpl(trylast=True)  # after the teardown of every fixture
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    place = config.stash[_PLACE]
    lists, reap = place.reap.lists, place.reap
    lists.let_go()
    # Under xdist the workers only register; the controller finds their lists when they are gone.
    if hasattr(config, "workerinput") or config.getoption("collectonly"):
        return
    if reap.lack is not None:
        place.told.append((f"{reap.count} registered, nothing is written down or stopped: {reap.lack}", False))
    if not lists.any():
        return
    if config.getoption("no_reap"):
        place.told.append((f"--no-reap: what is registered in {lists.folder} is left to the next run", False))
        return
    try:
        found = _effective(lists.root)
        if (lack := _missing_reason(found)) is not None:
            place.told.append((f"what is registered in {lists.folder} is not stopped: {lack}", False))
            return
        with lists.left_behind() as paths:
            if paths:
                earlier = sum(_lines(path) for path in paths if path.stat().st_mtime < place.began_at)
                summary = _apart(found, paths, _budget_s(config))
                place.told.append((_line(summary, earlier), summary.ok))
                if summary.dead:
                    place.told.append((f"see: reaper dead list --queue {found.queue_url}", False))
    except (ReaperError, OSError) as error:
        place.told.append((f"{error}; what is registered in {lists.folder} is left to the next run", False))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line, good in config.stash[_PLACE].told:
        terminalreporter.write_line(f"reap: {line}", green=good, yellow=not good)


# --- where and how ------------------------------------------------------------------------------------------------


def _root(config: pytest.Config) -> Path:
    """Return the directory of lists and ledger: one for each project, because a ledger is for one account."""
    if given := config.getoption("reap_ledger"):
        return config.invocation_params.dir / str(given)
    if given := config.getini("reap_ledger"):
        return config.rootpath / str(given)
    project = f"{config.rootpath.name}-{hashlib.sha256(os.fsencode(config.rootpath)).hexdigest()[:8]}"
    try:
        return state_dir(os.environ) / "pytest" / project
    except ConfigError:  # no home: say nothing unless somebody registers, and let that fail
        return config.rootpath / ".reap"


def _budget_s(config: pytest.Config) -> float:
    text = str(config.getini("reap_for"))
    try:
        budget_s = float(text)
    except ValueError:
        budget_s = 0.0
    if not 0 < budget_s <= 86_400:
        raise ConfigError(f"reap_for must be a number of seconds above 0, not {sanitize(text)!r}")
    return budget_s


def _effective(root: Path) -> EffectiveOptions:
    from reaper.library.options import effective_options

    return effective_options({"ledger": root / LEDGER})


def _missing_reason(found: EffectiveOptions) -> str | None:
    try:
        found.credentials()
    except ConfigError as error:
        return str(error)
    return None


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _line(summary: Summary, earlier: int) -> str:
    more = f" ({earlier} left by earlier runs)" if earlier else ""
    why = f"; left early: {summary.why}, the rest is left to the next run" if summary.why else ""
    return f"{summary}{more}{why}"


# --- stopping -----------------------------------------------------------------------------------------------------


def _apart(found: EffectiveOptions, paths: Sequence[Path], budget_s: float) -> Summary:
    """Stop what the lists name; in a thread where this one runs an event loop already, as notebooks do."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_stop(found, paths, budget_s))
    results: list[Summary | BaseException] = []

    def work() -> None:
        try:
            results.append(asyncio.run(_stop(found, paths, budget_s)))
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            results.append(error)

    thread = threading.Thread(target=work, name="reap")
    thread.start()
    thread.join()
    if isinstance(result := results[0], BaseException):
        raise result
    return result


async def _stop(found: EffectiveOptions, paths: Sequence[Path], budget_s: float) -> Summary:
    """Take the lists into the ledger and stop all; a list is removed when nothing of it is open any more."""
    from reaper.library.async_api import opened

    async with opened(found) as reaper:
        for path in paths:
            # A name that is used again in a later run is a new session.
            await reaper.add_file(path, again=True)
        summary = await reaper.stop(budget=budget_s)
        for path in paths:
            outcomes = await reaper.outcomes(path.read_text(encoding="utf-8").split())
            if None not in outcomes.values():
                path.unlink()
    return summary
