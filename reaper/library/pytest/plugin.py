"""A pytest plugin: tests register sessions with the fixture `reap`; open ones are stopped at the end of the run.

pytest loads it wherever reaper is installed. It does nothing until a test registers a session, and nothing without a
token; it imports most of reaper only when there is something to stop. See docs/pytest.md.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reaper.core.errors import ConfigError, ReaperError, UsageError
from reaper.core.ids import check_id
from reaper.core.text import sanitize
from reaper.library.pytest.registry import Registry
from reaper.settings.state_dir import state_dir

if TYPE_CHECKING:
    from reaper.library.options import EffectiveOptions
    from reaper.library.summary import Summary

LEDGER = "reaper.db"
BUDGET_S = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reaper", "hosted sessions (reaper)")
    group.addoption(
        "--reap-ledger", metavar="DIR", help="where registered sessions are stored (default: reaper's state dir)"
    )
    group.addoption(
        "--no-reap", action="store_true", help="stop nothing at the end: registered sessions are left to the next run"
    )
    parser.addini("reap_ledger", "directory for registered sessions, relative to the root directory", default="")
    parser.addini("reap_for", "time limit in seconds for stopping sessions at the end", default=f"{BUDGET_S:g}")


@pytest.fixture(scope="session")
def reap(request: pytest.FixtureRequest) -> Reap:
    """Register a session by `reap(session_id)`: it will be stopped, even if this run crashes."""
    return request.config.stash[_RUN].reap


@dataclass(slots=True)
class Reap:
    """The value of the fixture `reap`. May be called from any thread, and inside an event loop."""

    registry: Registry
    missing_reason: str | None = None
    """Why nothing is stored or stopped; None: something is."""
    count: int = 0
    _checked: bool = False

    def __call__(self, session_id: str) -> str:
        """Store a session ID durably and return it.

        Raises UsageError when it is malformed, ConfigError when a setting is wrong; without a token it is only counted.
        """
        try:
            check_id(session_id)
        except ValueError as error:
            raise UsageError(f"{sanitize(session_id)}: {error}") from error
        if not self._checked:
            self.missing_reason = _missing_reason(_effective(self.registry.root))
            self._checked = True
        self.count += 1
        if self.missing_reason is None:
            self.registry.write(session_id)
        return session_id


@dataclass(slots=True)
class _Run:
    """The state of the plugin in one test run."""

    reap: Reap
    began_at: float = field(default_factory=time.time)
    lines: list[tuple[str, bool]] = field(default_factory=list)
    """Lines for the terminal summary; True prints green, False yellow."""


_RUN = pytest.StashKey[_Run]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUN] = _Run(Reap(Registry(_root(config))))


@pytest.hookimpl(trylast=True)  # after the teardown of every fixture
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    run = config.stash[_RUN]
    registry, reap = run.reap.registry, run.reap
    registry.release()
    # Under xdist the workers only register; the controller stops their sessions after they have ended.
    if hasattr(config, "workerinput") or config.getoption("collectonly"):
        return
    if reap.missing_reason is not None:
        run.lines.append((f"{reap.count} registered, nothing is stored or stopped: {reap.missing_reason}", False))
    if not registry.has_lists():
        return
    if config.getoption("no_reap"):
        run.lines.append((f"--no-reap: the sessions in {registry.folder} are left to the next run", False))
        return
    try:
        effective = _effective(registry.root)
        if (why := _missing_reason(effective)) is not None:
            run.lines.append((f"the sessions in {registry.folder} are not stopped: {why}", False))
            return
        with registry.unclaimed() as paths:
            if paths:
                earlier = sum(path.read_bytes().count(b"\n") for path in paths if path.stat().st_mtime < run.began_at)
                summary = _run_stop(effective, paths, _budget_s(config))
                run.lines.append((_summary_line(summary, earlier), summary.ok))
                if summary.dead:
                    run.lines.append((f"see: reaper dead list --queue {effective.queue_url}", False))
    except (ReaperError, OSError) as error:
        run.lines.append((f"{error}; the sessions in {registry.folder} are left to the next run", False))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line, good in config.stash[_RUN].lines:
        terminalreporter.write_line(f"reap: {line}", green=good, yellow=not good)


# --- where and how ------------------------------------------------------------------------------------------------


def _root(config: pytest.Config) -> Path:
    """Return the directory of lists and ledger: one per project, because a ledger is for one account."""
    if given := config.getoption("reap_ledger"):
        return config.invocation_params.dir / str(given)
    if given := config.getini("reap_ledger"):
        return config.rootpath / str(given)
    project = f"{config.rootpath.name}-{hashlib.sha256(os.fsencode(config.rootpath)).hexdigest()[:8]}"
    try:
        return state_dir(os.environ) / "pytest" / project
    except ConfigError:  # no home directory: only a registration fails then
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


def _missing_reason(effective: EffectiveOptions) -> str | None:
    """Return why no session can be stopped: no token is configured; None when one is."""
    try:
        effective.credentials()
    except ConfigError as error:
        return str(error)
    return None


def _summary_line(summary: Summary, earlier: int) -> str:
    more = f" ({earlier} left by earlier runs)" if earlier else ""
    why = f"; stopped early: {summary.why}, the rest is left to the next run" if summary.why else ""
    return f"{summary}{more}{why}"


# --- stopping -----------------------------------------------------------------------------------------------------


def _run_stop(effective: EffectiveOptions, paths: Sequence[Path], budget_s: float) -> Summary:
    """Run `_stop`, in another thread if this one already runs an event loop, as in notebooks."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_stop(effective, paths, budget_s))
    with ThreadPoolExecutor(1, "reap") as executor:
        return executor.submit(lambda: asyncio.run(_stop(effective, paths, budget_s))).result()


async def _stop(effective: EffectiveOptions, paths: Sequence[Path], budget_s: float) -> Summary:
    """Add the lists to the ledger and stop their sessions; delete a list when none of its IDs is open."""
    from reaper.library.async_api import open_effective

    async with open_effective(effective) as reaper:
        for path in paths:
            # An ID that a later run registers again is a new session.
            await reaper.add_file(path, again=True)
        summary = await reaper.stop(budget=budget_s)
        for path in paths:
            outcomes = await reaper.outcomes(path.read_text(encoding="utf-8").split())
            if None not in outcomes.values():
                path.unlink()
    return summary
