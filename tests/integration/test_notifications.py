"""Messages and pings over real sockets: to receivers that take them, refuse them, are away or hang."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from reaper.app import notifier
from reaper.core.notification_texts import Message
from reaper.core.notifications import Change, Facts, Kind, Notification
from reaper.queues.open import open_empty_queue, open_queue
from reaper.settings.schema import Settings
from reaper.settings.sections import NotifySettings
from reaper.telemetry.notifications import mailbox
from reaper.telemetry.notifications.mailbox import Mailbox, NotSentError
from reaper.telemetry.notifications.outbox import Outbox
from reaper.telemetry.notifications.pinger import Ping
from tests.support.eventually import eventually
from tests.support.notified import Outgoing, hold_something, notifier_on
from tests.support.receiver import StandInReceiver

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
MESSAGE = Message("reaper: a title", "the body", "warning")
NOTE = Notification("credentials", Kind.CREDENTIALS, Change.BEGAN, 1.0, Facts(1.0))
AWAY = "json://127.0.0.1:9/hidden-path"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "AGAIN_S", (0.01, 0.01))


# --- mailboxes and the outbox ---------------------------------------------------------------------------------------


class Slow:
    """A receiver whose steps wait until they are let go."""

    name = "slow"

    def __init__(self, *faults: NotSentError) -> None:
        self.prepares, self.sends = threading.Event(), threading.Event()
        self.prepares.set()
        self.sends.set()
        self.faults = list(faults)
        self.took: list[str] = []

    def prepare(self) -> Callable[[str], None]:
        self.prepares.wait(10)
        return self.send

    def send(self, message: str) -> None:
        self.took.append(message)
        self.sends.wait(10)
        if self.faults:
            raise self.faults.pop(0)


class Ended:
    """What became of each message."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def __call__(self, _: str, message: str, error: NotSentError | None) -> None:
        self.found.append((message, str(error or "sent")))


def test_messages_go_in_order_and_again_when_they_surely_did_not_arrive() -> None:
    slow, ended = Slow(NotSentError("503"), NotSentError("503")), Ended()
    box = Mailbox(slow, ended)
    box.post("a")
    box.post("b")
    eventually(lambda: len(ended.found) == 2)
    assert slow.took == ["a", "a", "a", "b"]
    assert ended.found == [("a", "sent"), ("b", "sent")]
    box.post("c")  # by a new thread: the first has ended
    eventually(lambda: ended.found[-1] == ("c", "sent"))


def test_a_message_is_given_up_after_three_tries_and_a_doubtful_one_after_one() -> None:
    slow, ended = Slow(*[NotSentError("503")] * 3, NotSentError("hangs", doubtful=True)), Ended()
    box = Mailbox(slow, ended)
    box.post("a")
    box.post("b")
    eventually(lambda: len(ended.found) == 2)
    assert ended.found == [("a", "503"), ("b", "hangs")]
    assert slow.took == ["a", "a", "a", "b"]


def test_a_receiver_that_hangs_keeps_the_newest_messages_alone() -> None:
    slow, ended = Slow(), Ended()
    slow.sends.clear()
    box = Mailbox(slow, ended, max_waiting=2)
    for message in "abcde":
        box.post(message)
        eventually(lambda: bool(slow.took))
    assert [message for message, _ in ended.found] == ["b", "c"]
    slow.sends.set()
    eventually(lambda: len(ended.found) == 5)
    assert slow.took == ["a", "d", "e"]


def test_what_has_not_begun_to_leave_is_withdrawn_and_told_once() -> None:
    slow, ended = Slow(), Ended()
    slow.prepares.clear()
    box = Mailbox(slow, ended)
    box.post("a")
    box.post("b")
    box.withdraw()
    slow.prepares.set()
    assert [message for message, _ in ended.found] == ["a", "b"]
    box.post("c")
    eventually(lambda: len(ended.found) == 3)
    assert slow.took == ["c"]


def test_a_fault_of_ours_ends_no_thread_with_a_trace() -> None:
    slow, ended = Slow(), Ended()
    slow.send = lambda _: 1 / 0  # type: ignore[method-assign,assignment]
    box = Mailbox(slow, ended)
    box.post("a")
    eventually(lambda: bool(ended.found))
    assert ended.found == [("a", "internal error: ZeroDivisionError")]


def test_no_thread_can_be_had_now(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, ended = Slow(), Ended()
    box = Mailbox(slow, ended)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        box.post("a")
    box.post("b")
    eventually(lambda: len(ended.found) == 2)


async def test_one_receiver_that_hangs_holds_up_no_other_and_not_the_end() -> None:
    lost: list[Notification] = []
    with StandInReceiver(0) as hanging, StandInReceiver() as well, capture_logs() as events:
        box = Outbox([hanging.url, well.url], None, lost.append)
        began = time.monotonic()
        box.post(NOTE, MESSAGE)
        await anyio.to_thread.run_sync(well.wait_for, 1)
        with anyio.move_on_after(0.3) as limit:
            await box.drained()
        assert limit.cancelled_caught
        assert time.monotonic() - began < 10
        assert [event["receiver"] for event in events] == ["2: json://********"]
    assert lost == []


async def test_what_surely_reached_nobody_is_lost_and_what_may_have_arrived_is_not() -> None:
    lost: list[Notification] = []
    with capture_logs() as events:
        box = Outbox([AWAY, AWAY], None, lost.append)
        box.post(NOTE, MESSAGE)
        with anyio.fail_after(20):
            await box.drained()
        assert lost == [NOTE]
        assert [event["event"] for event in events] == ["notification.failed"] * 2
        assert "hidden" not in str(events)
        with StandInReceiver() as well:
            box = Outbox([AWAY, well.url], None, lost.append)
            box.post(NOTE, MESSAGE)
            with anyio.fail_after(20):
                await box.drained()
    assert lost == [NOTE]


async def test_a_heartbeat_that_fails_is_logged_once_and_so_is_its_return() -> None:
    with StandInReceiver(500) as monitor, capture_logs() as events:
        box = Outbox([], monitor.ping_url, lambda _: None)
        for answer in (500, 500, 200, 200):
            monitor.answer = answer
            box.ping(Ping(True, "x"))
            with anyio.fail_after(10):
                await box.drained()
    assert [event["event"] for event in events] == ["heartbeat.failed", "heartbeat.recovered"]
    assert "hidden" not in str(events)


async def test_without_the_extra_the_start_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with capture_logs() as events:
        box = Outbox([AWAY], None, lambda _: None)
        box.withdraw()
    (event,) = events
    assert "archal-reaper[notify]" in event["detail"]


async def test_a_run_ends_in_time_though_receiver_and_monitor_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "END_S", 1.0)
    monkeypatch.setattr(notifier, "WITHDRAW_S", 0.2)
    queue = await open_empty_queue()
    await hold_something(queue)
    with StandInReceiver(0) as hanging:
        of = NotifySettings(urls=(f"{hanging.url}?rto=60",), heartbeat_url=hanging.ping_url)
        people = notifier.Notifier(Settings(notify=of))
        people.use_queue(queue)
        began = time.monotonic()
        await people.finish_run(0, "")
        assert time.monotonic() - began < 1.0 + 2.0
        await anyio.to_thread.run_sync(hanging.wait_for, 1)
        with capture_logs() as events:
            await people.finish("why")  # the second run's end: the receiver still hangs
        assert "hidden" not in str(events)
    await queue.close()


# --- a process that dies between the change and the message ----------------------------------------------------------

DIES = """
import anyio, os, signal, sys
from reaper.queues.open import open_empty_queue, open_queue
from reaper.settings.schema import Settings
from reaper.settings.sections import NotifySettings
from tests.support.notified import Outgoing, hold_something, notifier_on

class Dies(Outgoing):
    def post(self, notification, message):
        os.kill(os.getpid(), signal.SIGKILL)

async def main(url):
    queue = (await open_queue(url, create=True, read_only=False, worker=False)).queue
    await hold_something(queue)
    await notifier_on(queue, Dies()).look(None)

anyio.run(main, sys.argv[1])
"""


async def test_a_reaper_that_is_killed_between_change_and_message_loses_it_and_nobody_doubles_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite://{tmp_path}/reaper.db"
    command = [sys.executable, "-c", DIES, url]
    done = await anyio.to_thread.run_sync(lambda: subprocess.run(command, cwd=ROOT, check=False))
    assert done.returncode == -signal.SIGKILL
    queue = (await open_queue(url, create=False, read_only=False, worker=False)).queue
    await notifier_on(queue, sent := Outgoing()).look(None)
    await queue.close()
    assert sent.messages == []
