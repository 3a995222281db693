"""`check` says what `run` does: each kind of trouble is tried on both, in this process, against a stand-in API."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import ANY

import anyio
import pytest

from reaper.app.check.examine import examine
from reaper.app.check.line import Hindrance, Line, Verdict, verdict_of
from reaper.app.signals import Signals
from reaper.app.start import start_and_run
from reaper.app.startup import credentials_of
from reaper.core.errors import ReaperError
from reaper.core.model import Pause, PauseReason
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from reaper.sandbox.server import Sandbox
from reaper.sandbox.sessions import Session
from reaper.settings.load import Loaded, load
from reaper.settings.state_dir import state_dir
from reaper.telemetry import logs
from tests.support.breakages import BREAKAGES, GROUP, STOPS, USER, WAITS, Breakage, table
from tests.support.eventually import eventually_async
from tests.support.processes.daemon import free_port
from tests.support.spoils import ALIVE, TOKEN, World

pytestmark = pytest.mark.anyio
DOC = Path(__file__).parents[2] / "docs" / "check.md"
WITHIN_S = 20.0
AFTERWARDS_S = 0.5
LEVELS = ("warning", "error")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that another user than that of the tests may have as his own."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
async def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in [one for one in os.environ if one.startswith(("REAPER_", "CREDENTIALS_", "STATE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("ARCHAL_TOKEN", TOKEN)
    (home / "reaper.toml").touch()  # that of the machine is not the test's
    monkeypatch.setenv("REAPER_CONFIG", str(home / "reaper.toml"))
    async with Sandbox([Session(ALIVE)]) as sandbox:
        with ExitStack() as ends:
            made = World(home, sandbox, monkeypatch, ends)
            made.set(api__base_url=sandbox.url, telemetry__listen="", telemetry__log_format="json")
            await made.add()
            yield made


def said_by(verdict: Verdict) -> str:
    """Return what a verdict says of `run`, in the words of the table."""
    if verdict.exit is not None:
        return f"ends with {int(verdict.exit)}"
    return WAITS if verdict.waits else f"pauses: {verdict.pauses[0].value}" if verdict.pauses else STOPS


async def done_by_run(world: World) -> tuple[str, list[dict[str, object]]]:
    """Run the daemon until it shows what it does; return that in the words of the table, and its log."""
    stream = io.StringIO()
    found: list[str] = []
    signals, is_over = Signals(), anyio.Event()

    def log() -> list[dict[str, object]]:
        logs.flush()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    async def run() -> None:
        try:
            loaded = load(None, {})
            credentials = credentials_of(loaded.settings)
            logs.configure(loaded.settings.telemetry, stream, secrets=credentials.secrets)
            opened = partial(open_writing, loaded)
            again = partial(load, None, {})
            await start_and_run(loaded, credentials, signals, open_writing=opened, load=again, reap=False)
        except ReaperError as error:
            found.insert(0, f"ends with {int(error.exit_code)}")
        is_over.set()

    def seen() -> str | None:
        for event in log():
            if event["event"] == "api.paused":
                return f"pauses: {event['reason']}"
            if event["event"] == "queue.unavailable":
                return WAITS
        return STOPS if world.sandbox.sends else None

    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            while not found:
                if (kind := seen()) is not None:
                    found.append(kind)
                await anyio.sleep(0.005)
            if found == [WAITS]:  # or an error of the queue was logged, and ends it
                with anyio.move_on_after(AFTERWARDS_S):
                    await is_over.wait()
            signals.catch(signal.SIGTERM)
            if found == [WAITS]:  # the start itself may wait, and only the command's scope ends that
                tasks.cancel_scope.cancel()
    return found[0], log()


@asynccontextmanager
async def open_writing(loaded: Loaded) -> AsyncIterator[Queue]:
    directory = partial(state_dir, os.environ)
    url = loaded.settings.queue.url
    opened = await open_queue(url, create=True, read_only=False, worker=True, state_dir=directory)
    try:
        yield opened.queue
    finally:
        with anyio.CancelScope(shield=True):
            await opened.queue.close()


@contextmanager
def acting(world: World, needs: frozenset[str]) -> Iterator[None]:
    """Act as the user that a row needs: all that is in `home` is his; skip where this user cannot."""
    if "root" in needs and os.geteuid() != 0:
        pytest.skip("acts as several users: needs root")
    if "user" not in needs or os.geteuid() != 0:
        yield
        return
    load_all()
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(GROUP)
    os.seteuid(USER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def load_all() -> None:
    """Import what is imported when it is first needed: the other user may not be able to read it."""
    for name in ("api.client", "queues.sqlite.open", "queues.sqlite.probe"):
        importlib.import_module(f"reaper.{name}")
    "x".encode("idna")


def give_all(home: Path) -> None:
    """Make everything the user's, but for what a row gave to root on purpose."""
    for path in [home, *home.rglob("*")]:
        os.chown(path, USER, GROUP)


async def spoiled(world: World, row: Breakage) -> None:
    if os.geteuid() == 0 and "user" in row.needs:
        give_all(world.home)
    before = set(world.home.rglob("*"))
    done = row.spoil(world)
    if done is not None:
        await done
    if os.geteuid() == 0 and "user" in row.needs:
        for path in set(world.home.rglob("*")) - before:
            os.chown(path, USER, GROUP)


def image(world: World) -> dict[str, tuple[int, int, bytes]]:
    """Return all that is on disk, but for what SQLite keeps to read."""
    found = {}
    for path in sorted(world.home.rglob("*")):
        if path.name.endswith(("-wal", "-shm")):
            continue
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) else b""
        found[str(path.relative_to(world.home))] = (status.st_mode, status.st_uid, content)
    return found


@pytest.mark.parametrize("row", BREAKAGES, ids=[row.what for row in BREAKAGES])
async def test_check_says_what_run_does(world: World, row: Breakage) -> None:
    with acting(world, row.needs & {"root"}):
        await spoiled(world, row)
    before = image(world)
    with acting(world, row.needs):
        lines = await examine(load(None, {}))
    assert not world.sandbox.sends
    assert image(world) == before
    with acting(world, row.needs):
        done, log = await done_by_run(world)
    shown = [(line.word, line.subject, line.text) for line in lines]
    verdict = verdict_of(lines)
    assert said_by(verdict) == done == row.run, shown
    assert verdict.stops_sessions is (done == STOPS)
    chosen = [line for line in lines if line.subject == row.subject and line.word == row.word]
    assert chosen, shown
    assert row.words in " ".join(line.text for line in chosen)
    besides = {"target"} if row.subject == "queue" else set()  # where the queue cannot say whose the address is
    assert {line.subject for line in lines if not line.ok} - besides <= {row.subject}
    if row.logs is not None:
        assert row.logs in [event["event"] for event in log if event["level"] in LEVELS], log


async def test_an_address_that_a_reaper_of_this_queue_holds_is_well(world: World) -> None:
    world.set(telemetry__listen=f"127.0.0.1:{free_port()}", worker__concurrency=1)
    loaded, signals, stream = load(None, {}), Signals(), io.StringIO()
    credentials = credentials_of(loaded.settings)
    logs.configure(loaded.settings.telemetry, stream, secrets=credentials.secrets)

    async def listening(queue_url: str) -> Line:
        lines = await examine(load(None, {"queue.url": queue_url}))
        return next(line for line in lines if line.subject == "listen")

    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(start_and_run, open_writing=partial(open_writing, loaded), load=lambda: loaded, reap=False),
                loaded,
                credentials,
                signals,
            )
            await eventually_async(lambda: world.sandbox.sends, WITHIN_S)
            ours = await listening(loaded.settings.queue.url)
            await world.add(elsewhere := f"sqlite:///{world.home}/other.db")
            other = await listening(elsewhere)
            signals.catch(signal.SIGTERM)
    assert (ours.word, ours.text.startswith("a reaper of this queue listens at")) == ("ok", True)
    assert (other.word, other.hindrance) == ("FAIL", Hindrance(78))


async def test_a_pause_that_no_read_can_see_is_a_warning_with_its_reason_and_remedy(world: World) -> None:
    detail = "answers that are not the API's, the last a 404 (text/html): check api.base_url"
    async with world.opened() as queue:
        operator = Pause(PauseReason.OPERATOR, queue.now(), "that of the queue counts, not a heartbeat's")
        await queue.heartbeat(8, [Pause(PauseReason.WRONG_TARGET, queue.now() - 12, detail), operator])
        lines = await examine(load(None, {}))
        [reaper] = await queue.live_workers()
    words = f"reaper {reaper.place} is paused (wrong_target) for 12 s: {detail}"
    assert [(line.word, line.text) for line in lines if line.subject == "pause"] == [("warn", words)]
    assert verdict_of(lines).stops_sessions


async def test_a_credential_of_systemd_is_enough(world: World) -> None:
    world.environ.delenv("ARCHAL_TOKEN")
    (world.home / "archal-token").write_text(f"{TOKEN}\n")
    (world.home / "archal-token").chmod(0o400)
    world.environ.setenv("CREDENTIALS_DIRECTORY", str(world.home))
    lines = await examine(load(None, {}))
    assert [(line.word, line.text) for line in lines if line.subject == "token"] == [("ok", "accepted")]
    assert verdict_of(lines).stops_sessions
    assert await done_by_run(world) == (STOPS, ANY)


def test_the_page_has_the_table() -> None:
    """To write it anew: `.venv/bin/python -c 'from tests.support.breakages import table; print(table())'`."""
    assert table() in DOC.read_text(encoding="utf-8")
