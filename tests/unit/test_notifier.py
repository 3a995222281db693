"""One reaper's notifier over a queue in memory: what it sees, when it looks, what it pings."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import cast

import anyio
import anyio.lowlevel
import pytest

from reaper.app.notifier import Notifier, fault_of
from reaper.app.notify_at_end import describe_failure, notifier_of, report_failure
from reaper.core.discovery import holds
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Pause, PauseReason, Stats
from reaper.core.notifications import KEY, read_notified
from reaper.settings.schema import Settings
from reaper.settings.sections import NotifySettings, TelemetrySettings
from reaper.telemetry import logs
from reaper.worker.worker import Worker
from tests.support.notified import SETTINGS, Outgoing, hold_something, notifier_on
from tests.support.queues.harness import Clocks
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store

pytestmark = pytest.mark.anyio
CREDENTIALS = Pause(PauseReason.CREDENTIALS, 1.0, "the API refused the token (401)")
THROTTLED = replace(CREDENTIALS, reason=PauseReason.THROTTLED)


@dataclass
class FakeGate:
    has_proof: bool = True
    may_send: bool = True


@dataclass
class FakeHealth:
    unavailable_s: float = 0.0
    why: str = ""


@dataclass
class FakeWorker:
    held: list[Pause] = field(default_factory=list)
    stalled_s: float = 0.0
    gate: FakeGate = field(default_factory=FakeGate)
    queue_health: FakeHealth = field(default_factory=FakeHealth)

    def pauses(self) -> list[Pause]:
        return self.held


def worker(**what: object) -> Worker:
    return cast(Worker, FakeWorker(**what))  # type: ignore[arg-type]


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def queue(clocks: Clocks) -> MemoryQueue:
    return MemoryQueue(Store(), clocks.wall, clocks.monotonic)


async def test_a_pause_is_told_at_once_and_its_end_when_the_api_has_shown_itself(
    queue: MemoryQueue, clocks: Clocks
) -> None:
    sent, work = Outgoing(), FakeWorker()
    notifier = notifier_on(queue, sent)
    async with anyio.create_task_group() as group:
        group.start_soon(notifier.run, cast(Worker, work))
        await anyio.sleep(0.1)
        work.held, work.gate.has_proof = [CREDENTIALS], False
        await anyio.sleep(1.0)
        assert [each.title for each in sent.messages] == ["reaper: paused, credentials"]
        work.held = []
        clocks.advance(20)
        await anyio.sleep(10)
        assert len(sent.messages) == 1, "that nothing is refused says nothing while nothing is asked"
        work.gate.has_proof = True
        await anyio.sleep(10)
        assert [each.title for each in sent.messages[1:]] == ["reaper: over: paused, credentials"]
        group.cancel_scope.cancel()


async def test_a_minute_is_good_while_sessions_could_be_stopped(queue: MemoryQueue) -> None:
    sent, work = Outgoing(), FakeWorker()
    notifier = notifier_on(queue, sent)
    async with anyio.create_task_group() as group:
        group.start_soon(notifier.run, cast(Worker, work))
        await anyio.sleep(61)
        work.held = [THROTTLED]
        await anyio.sleep(60)
        work.held = [CREDENTIALS]
        await anyio.sleep(60)
        group.cancel_scope.cancel()
    assert [each.is_good for each in sent.pings] == [True, True, False]
    assert sent.pings[2].text.startswith("paused, credentials: the API refused the token (401)\nQueue: ")


def test_what_keeps_sessions_from_being_stopped_is_named() -> None:
    assert fault_of([], 0.0, 0.0) is None
    assert fault_of([THROTTLED], 0.0, 1.0) is None
    assert fault_of([], 5.0, 0.0) == "the queue has been unavailable for 5 s"
    assert fault_of([], 5.0, 0.0, "its disk is full") == "the queue has been unavailable for 5 s: its disk is full"
    assert fault_of([], 0.0, 31.0) == "the claim loop has not turned for 31 s"


@pytest.mark.parametrize(
    ("code", "held", "is_good"),
    [
        (0, [], True),
        (75, [], True),
        (75, [THROTTLED], True),
        (75, [CREDENTIALS], False),
        (3, [], False),
        (77, [], False),
    ],
)
async def test_a_run_is_good_by_its_exit_code(queue: MemoryQueue, code: int, held: list[Pause], is_good: bool) -> None:
    sent = Outgoing()
    notifier = notifier_on(queue, sent)
    async with notifier.watching(worker(held=held), nullcontext()):
        await anyio.lowlevel.checkpoint()
    await notifier.finish_run(code, "why")
    (ping,) = sent.pings
    assert ping.is_good is is_good
    assert ping.text.startswith(f"exit {code}: why\n")
    assert sent.withdrawn == 1


async def test_a_signal_at_the_end_withdraws_what_has_not_left_and_has_it_told_again(queue: MemoryQueue) -> None:
    class Hangs(Outgoing):
        async def drained(self) -> None:
            await anyio.sleep_forever()

        def withdraw(self) -> None:
            self.on_lost(self.notifications[0])

    await hold_something(queue)
    with anyio.move_on_after(1):
        await notifier_on(queue, Hangs()).finish_run(4, "")
    assert not read_notified(await queue.read_value(KEY)).conditions["hold:h1"].delivered


async def test_the_last_look_of_a_run_tells_what_it_found(queue: MemoryQueue) -> None:
    sent = Outgoing()
    await hold_something(queue)
    await notifier_on(queue, sent).finish_run(4, "")
    assert [each.title for each in sent.messages] == ["reaper: a sweep waits for you"]


async def test_holds_that_cannot_be_read_and_a_queue_that_is_away_are_no_reason_to_fail(queue: MemoryQueue) -> None:
    sent = Outgoing()
    await queue.compare_and_set(holds.KEY, "{", was=None)
    await notifier_on(queue, sent).look(worker(held=[CREDENTIALS]))
    assert len(sent.messages) == 1

    class Away(MemoryQueue):
        async def stats(self) -> Stats:
            raise QueueUnavailableError("gone")

        async def read_value(self, name: str) -> str | None:
            raise QueueUnavailableError("gone")

    away = Away(Store(), Clocks().wall, Clocks().monotonic)
    notifier = notifier_on(away, lost := Outgoing())
    await notifier.look(None)
    await notifier.finish("why")
    assert lost.messages == []
    assert [each.is_good for each in lost.pings] == [False]


async def test_holds_are_parsed_once_while_they_stay_the_same(
    queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be megabytes, and are parsed in the event loop."""
    parsed: list[str | None] = []
    read_heads = holds.read_heads

    def counted(text: str | None) -> tuple[holds.HoldHead, ...]:
        parsed.append(text)
        return read_heads(text)

    monkeypatch.setattr(holds, "read_heads", counted)
    held = await hold_something(queue)
    notifier = notifier_on(queue, sent := Outgoing())
    for _ in range(3):
        await notifier.look(None)
    assert (len(parsed), len(sent.messages)) == (1, 1)
    other = replace(held, id="h2")
    assert await queue.compare_and_set(holds.KEY, holds.to_text((held, other)), was=holds.to_text((held,)))
    await notifier.look(None)
    assert (len(parsed), [each.key for each in sent.notifications]) == (2, ["hold:h1", "hold:h2"])


async def test_a_look_that_takes_long_is_logged_and_may_take_longer_the_next_time() -> None:
    class Slow(MemoryQueue):
        async def stats(self) -> Stats:
            await anyio.sleep(6)
            return await super().stats()

    written = io.StringIO()
    logs.configure(TelemetrySettings(log_format="json"), written, secrets=lambda: ())
    slow = Slow(Store(), Clocks().wall, Clocks().monotonic)
    await hold_something(slow)
    notifier = notifier_on(slow, sent := Outgoing())
    await notifier.look(None)
    assert sent.messages == []
    (line,) = map(json.loads, written.getvalue().splitlines())
    logs.reset()
    assert (line["event"], "not read within 4 s" in line["detail"]) == ("notification.failed", True)
    await notifier.finish_run(0, "")
    assert [each.is_good for each in sent.pings] == [True], "the last look leaves time for the ping"
    await notifier.look(None)
    assert len(sent.messages) == 1


async def test_a_fault_of_ours_is_logged_and_ends_nothing(queue: MemoryQueue) -> None:
    class Broken(Outgoing):
        def post(self, *_: object) -> None:
            raise ZeroDivisionError

    await hold_something(queue)
    await notifier_on(queue, Broken()).look(None)


async def test_a_reload_changes_who_is_notified(queue: MemoryQueue) -> None:
    opened: list[NotifySettings] = []

    def open_outbox(settings: NotifySettings, _: object) -> Outgoing:
        opened.append(settings)
        return Outgoing()

    notifier = Notifier(Settings(), open_outbox)
    await notifier.look(None)
    await notifier.finish()
    await notifier.finish_run(0, "")
    notifier.configure(SETTINGS)
    notifier.configure(SETTINGS)
    other = Settings(notify=NotifySettings(heartbeat_url="https://monitor.example/uuid"))
    notifier.configure(other)
    notifier.configure(Settings())
    assert opened == [SETTINGS.notify, other.notify]


async def test_nobody_is_notified_of_a_rehearsal_or_without_settings() -> None:
    for nobody in (notifier_of(Settings()), notifier_of(SETTINGS, silent=True)):
        nobody.use_queue(None)
        async with nobody.watching(worker(), nullcontext()):
            pass
        await nobody.finish_run(0, "")
        await nobody.finish("")
    assert isinstance(notifier_of(SETTINGS), Notifier)


async def test_an_error_that_ends_a_run_is_pinged(queue: MemoryQueue) -> None:
    sent = Outgoing()
    notifier = notifier_on(queue, sent)
    with pytest.raises(QueueUnavailableError):
        async with report_failure(notifier):
            raise QueueUnavailableError("the disk is full")
    assert sent.pings[0].text.startswith("the disk is full\n")
    assert describe_failure(ExceptionGroup("", [ValueError("archal_ws_secret")])) == "internal error: ValueError"
