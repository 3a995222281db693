"""The library as a program uses it: its own loop, its own logging, a ledger on the disk."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import reaper
from reaper.sandbox.latency import parse_latency
from reaper.telemetry import host_logging as embedded
from reaper.telemetry import logs
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(autouse=True)
def _nothing_inherited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("REAPER_", "ARCHAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(20, seed=3) as running:
        yield running


@pytest.fixture
def options(sandbox: RunningSandbox, tmp_path: Path) -> reaper.Options:
    return {
        "base_url": sandbox.url,
        "token": sandbox.token,
        "ledger": tmp_path / "ledger.db",
        "settings": {"retry.base_s": 0.01, "worker.adaptive": False},
    }


def some(sandbox: RunningSandbox, count: int) -> list[str]:
    return sandbox.do(lambda box: list(box.sessions.active))[:count]


@pytest.mark.anyio
async def test_what_is_added_is_stopped_and_accounted_for(sandbox: RunningSandbox, options: reaper.Options) -> None:
    ids = some(sandbox, 5)
    async with reaper.open(**options) as r:
        added = await r.add([*ids, "env_gone", ids[0]])
        assert (added.accepted, added.duplicate) == (6, 0)
        summary = await r.stop()
        assert summary.ok
        assert (summary.accepted, summary.stopped, summary.already_gone, summary.sends) == (6, 5, 1, 6)
        assert await r.outcomes([*ids, "env_gone", "env_unknown"]) == {
            **dict.fromkeys(ids, reaper.Outcome.STOPPED),
            "env_gone": reaper.Outcome.ALREADY_GONE,
        }
        item = await r.show(ids[0])
        assert item is not None
        assert [send.status for send in item.history] == [204]
        assert await r.show("env_unknown") is None
        audit = await r.audit()
        assert audit.balanced
        assert audit.stats.accepted == 6
        again = await r.stop(ids)
        assert (again.accepted, again.duplicate, again.stopped, again.sends) == (0, 5, 5, 0)
    assert "6 sessions in" in str(summary)
    assert str(summary).endswith(": 5 stopped, 1 already gone")


@pytest.mark.anyio
async def test_what_one_left_the_next_stops(sandbox: RunningSandbox, options: reaper.Options, tmp_path: Path) -> None:
    one, other = some(sandbox, 2)
    without: dict[str, Any] = {**options, "token": None}
    async with reaper.open(**without) as r:  # taking in needs no token
        await r.add(one)
    (tmp_path / "ids.txt").write_text(f'{{"session_id": "{other}"}}\nno id\n')
    async with reaper.open(**options) as r:
        assert (await r.add_file(tmp_path / "ids.txt")).invalid == 1
        only = await r.stop(leftovers=False)
        assert (only.stopped, only.invalid, only.exit) == (1, 1, reaper.Exit.DEAD)
        assert await r.outcomes(one) == {one: None}
        assert (await r.stop()).stopped == 1
    assert sandbox.sends == {one: 1, other: 1}


@pytest.mark.anyio
async def test_when_it_is_due_can_be_changed(sandbox: RunningSandbox, options: reaper.Options) -> None:
    one, other, third = some(sandbox, 3)
    async with reaper.open(**options) as r:
        await r.add(one, after=timedelta(hours=1))
        await r.add(other, after=3600)
        await r.add(third, at=datetime.now(UTC) + timedelta(hours=1))
        early = await r.stop()
        assert (early.delayed, early.waiting, early.sends, early.ok) == (3, 3, 0, True)
        await r.postpone(one, 0)
        assert await r.cancel(other, reason="kept") is True
        summary = await r.stop()
        assert (summary.stopped, summary.sends) == (1, 1)
        shown = await r.show(other)
        assert shown is not None
        assert (shown.outcome, shown.reason) == (reaper.Outcome.CANCELLED, "kept")
        with pytest.raises(reaper.RefusedError, match=f"{one} is settled already"):
            await r.postpone(one, 5)
        with pytest.raises(reaper.RefusedError, match="env_nobody is unknown here"):
            await r.cancel("env_nobody", reason="why not")
        assert (await r.add(one, again=True)).accepted == 1
        assert (await r.stop()).already_gone == 1


@pytest.mark.anyio
async def test_a_cancelled_stop_loses_nothing(sandbox: RunningSandbox, options: reaper.Options) -> None:
    ids = some(sandbox, 10)
    sandbox.do(lambda box: box.set_mode("pause", deletes_only=True))
    async with reaper.open(**options) as r:
        stop = asyncio.create_task(r.stop(ids))
        await asyncio.to_thread(sandbox.until, lambda box: box.counters.in_flight >= 5)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        sandbox.do(lambda box: box.set_mode("ok"))
        summary = await r.stop()
        assert (summary.stopped + summary.already_gone, summary.waiting) == (10, 0)
        assert (await r.audit()).balanced


@pytest.mark.anyio
async def test_no_signal_is_caught(sandbox: RunningSandbox, options: reaper.Options) -> None:
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in watched]
    seen: list[bool] = []
    sandbox.do(lambda box: setattr(box, "latency", parse_latency("80ms")))
    async with reaper.open(**options) as r:
        stop = asyncio.create_task(r.stop(some(sandbox, 3)))
        while not stop.done():
            await asyncio.sleep(0.01)
            seen.append([signal.getsignal(number) for number in watched] == before)
    assert len(seen) > 5
    assert all(seen)


@pytest.mark.anyio
async def test_a_stop_ends_in_time_and_says_why(sandbox: RunningSandbox, options: reaper.Options) -> None:
    sandbox.do(lambda box: setattr(box, "latency", parse_latency("30s")))
    async with reaper.open(**options) as r:
        summary = await r.stop(some(sandbox, 2), budget=timedelta(seconds=1))
    assert (summary.waiting, summary.exit, summary.ok) == (2, reaper.Exit.WORK_LEFT, False)
    assert summary.why == "the time budget of 1 s is used up"


@pytest.mark.anyio
async def test_a_refused_token_is_told_and_all_stays_queued(
    sandbox: RunningSandbox, options: reaper.Options, caplog: pytest.LogCaptureFixture
) -> None:
    options["token"] = "archal_ws_wrong_token"
    options["settings"] = {"api.credentials_wait_s": 0.2}
    async with reaper.open(**options) as r:
        summary = await r.stop("env_1")
    assert summary.exit is reaper.Exit.CREDENTIALS
    assert "credentials" in (summary.why or "")
    assert summary.waiting == 1
    assert sandbox.sends == {}
    assert "api.paused reason=credentials" in caplog.text
    assert "archal_ws_wrong_token" not in caplog.text


@pytest.mark.anyio
async def test_mistakes_are_reaper_errors(options: reaper.Options, tmp_path: Path) -> None:
    async with reaper.open(**options) as r:
        with pytest.raises(reaper.UsageError, match="character 4 is ' '"):
            await r.add(["env_1", "env 2"])
        assert await r.show("env_1") is None
        with pytest.raises(reaper.UsageError, match="contradict"):
            await r.add("env_1", after=1, at=datetime.now(UTC))
        with pytest.raises(reaper.UsageError, match="must have a zone"):
            await r.add("env_1", at=datetime(2030, 1, 1))  # noqa: DTZ001
        with pytest.raises(reaper.UsageError, match="after must be from 0"):
            await r.add("env_1", after=-1)
        with pytest.raises(reaper.UsageError, match="say which with after or at"):
            await r.add("env_1", or_postpone=True)
        with pytest.raises(reaper.UsageError, match="the reason must say why"):
            await r.cancel("env_1", reason=" ")
    wrong: list[tuple[dict[str, object], type[reaper.ReaperError], str]] = [
        ({"settings": {"worker.concurency": 3}}, reaper.ConfigError, r"worker\.concurency \(argument\).*concurrency"),
        ({"concurrency": 0}, reaper.ConfigError, r"worker\.concurrency must be .*\(argument worker\.concurrency\)"),
        ({"base_url": "http://example.org"}, reaper.ConfigError, "must be https"),
        ({"token": " "}, reaper.ConfigError, "token is empty"),
        ({"queue": "sqlite:///x", "ledger": "y"}, reaper.UsageError, "two ways"),
        ({"ledgre": "y"}, reaper.UsageError, "'ledgre'"),
        ({"settings": reaper.Settings(), "base_url": "https://a"}, reaper.UsageError, "complete already"),
        ({"ledger": tmp_path}, reaper.QueueError, str(tmp_path)),
    ]
    for given, error, words in wrong:
        with pytest.raises(error, match=words):
            async with reaper.open(**given):  # type: ignore[arg-type]  # that is the point
                pass
    options["token"] = None
    async with reaper.open(**options) as r:
        with pytest.raises(reaper.ConfigError, match="no API token"):
            await r.stop("env_1")
    async with reaper.open() as r:  # the command's own ledger
        await r.add("env_1")
    assert (tmp_path / "state" / "reaper" / "reaper.db").exists()


def test_a_script_needs_no_loop(sandbox: RunningSandbox, options: reaper.Options) -> None:
    assert reaper.stop_sessions(some(sandbox, 3), **options).stopped == 3


@pytest.mark.anyio
async def test_the_plain_function_refuses_a_running_loop() -> None:
    with pytest.raises(reaper.UsageError, match=r"use `async with reaper\.open\(\)"):
        reaper.stop_sessions([])


def test_events_go_to_the_standard_logger_with_secrets_masked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reaper")
    with embedded.use_host_logger(lambda: ("hunter2",)):
        logs.get().info("session.settled", session_id="env_1", detail="it said hunter2 twice")
        logs.get().debug("unseen")
    assert caplog.messages == ["session.settled session_id=env_1 detail='it said ******** twice'"]


def test_the_import_is_cheap_and_complete() -> None:
    script = """
import sys
before = set(sys.modules)
import reaper
assert set(sys.modules) - before == {"reaper", "reaper.core", "reaper.core.version"}, set(sys.modules) - before
for name in reaper.__all__:
    assert getattr(reaper, name) is not None and name in dir(reaper)
from reaper import Reaper, open, stop_sessions
try:
    reaper.nonsense
except AttributeError as error:
    assert "'nonsense'" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["--version"], ["health", "--help"]])
def test_the_quick_commands_do_not_load_the_library(words: list[str]) -> None:
    script = (
        "import sys; from reaper.__main__ import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        "assert not {'anyio', 'pydantic', 'structlog', 'reaper.library'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
