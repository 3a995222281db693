"""`status` in its three forms: the JSON document, the text, and the screen of `--watch`."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from reaper.cli.commands.status import status_text
from reaper.cli.terminal.dashboard import dashboard_frame
from reaper.cli.terminal.queue_snapshot import QueueSnapshot, StatusWatcher
from reaper.core.model import Item, Outcome, Pause, PauseReason, Send, SessionId, State, Stats, WorkerHeartbeat
from reaper.core.status import status_json

NOW = 1_700_000_000.0
SENDS = (
    Send(NOW - 90, 0.25, status=502, request_id="req-1"),
    Send(NOW - 60, 20.0, error="timeout: no answer within 20 s"),
    Send(NOW - 30, 0.12, status=404),
)
GONE = Item(
    SessionId("env_1"), State.SETTLED, Outcome.ALREADY_GONE, "ids.txt", NOW - 100, NOW - 31, 1, 3, 3, 0, SENDS,
    status=404, detail="after_ambiguous", settled_at=NOW - 29,
)  # fmt: skip
STATS = Stats(
    ready=1234, delayed=12, in_flight=32, accepted=2000, settled={Outcome.STOPPED: 700, Outcome.FORBIDDEN: 5}, dead=5,
    duplicate=0, invalid=0, oldest_due_s=182.0,
)  # fmt: skip
PAUSE = Pause(PauseReason.THROTTLED, NOW - 5, "the API answered 429", until=NOW + 25)
REAPERS = [
    WorkerHeartbeat("a", 4711, NOW - 300, NOW - 2, 64, (PAUSE,)),
    WorkerHeartbeat("b", 4712, NOW - 3, NOW - 1, 8),
]


def watched(snapshot: QueueSnapshot) -> StatusWatcher:
    it = StatusWatcher("sqlite:////var/lib/reaper/reaper.db", snapshot=snapshot)
    it.rate.note(0.0, 100)
    it.rate.note(60.0, 700)
    return it


def screen(it: StatusWatcher, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(dashboard_frame(it, width, 2.0))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_status_says_what_holds_and_what_to_do() -> None:
    text = status_text(QueueSnapshot(STATS, REAPERS, [PAUSE], NOW, 1, 2))
    assert "ready               1234   oldest due for 3 m 2 s" in text
    assert "in flight             32   limit 72" in text
    assert "PAUSED: throttled, for 5 s, ends in 25 s: the API answered 429\n  -> nothing to do" in text
    assert "HELD: 1 sweep waits for you\n  -> see: reaper holds" in text
    assert "GHOSTS: 2 sessions" in text
    idle = status_text(QueueSnapshot(STATS, [], [], NOW))
    assert "no reaper is working on this queue\n  -> start one: reaper run" in idle


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_dashboard_fits_and_shows_all(width: int) -> None:
    it = watched(QueueSnapshot(STATS, REAPERS, [PAUSE], NOW, 1, 2))
    it.recent = [replace(GONE, settled_at=NOW - 1)]
    waiting = replace(GONE, session_id=SessionId("env_2"), state=State.DELAYED, outcome=None, settled_at=None, sends=7)
    reset = Send(NOW - 9, 0.1, error="reset: the connection was closed")
    it.retried = [replace(waiting, due_at=NOW + 40), replace(waiting, sends=2, history=(reset,), due_at=NOW - 1)]
    lines = screen(it, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for fact in (
        "1,234", "oldest due", "10/s over the last 1 m", "reaper dead list", "PAUSED: throttled", "4711", "4712",
        "HELD", "GHOSTS", "IMBALANCE", "slowest", "20.00 s", "3 sends", "waiting for another try",
        "7 sends  due in 40 s; last 404", "2 sends  due now; last reset",
    ):  # fmt: skip
        assert fact in text or width == 40, fact
    assert all(fact in text for fact in ("20.00 s", "3 sends", "7 sends", "due in")), "what a row is for is cut last"


def test_a_dashboard_without_an_answer_keeps_the_last_and_says_so() -> None:
    it = watched(QueueSnapshot(STATS, [], [], NOW))
    it.unavailable = "the ledger is locked"
    text = "\n".join(screen(it, 80))
    assert "QUEUE UNAVAILABLE: the ledger is locked" in text
    assert "1,234" in text
    assert "QUEUE UNAVAILABLE" in "\n".join(screen(StatusWatcher("x", unavailable="gone"), 80))


def test_the_document_has_every_outcome_and_what_discovery_found_only_where_there_is_any() -> None:
    document = status_json(STATS, [PAUSE], None)
    assert list(document) == [
        "ready", "delayed", "in_flight", "dead", "settled", "oldest_due_s", "pauses", "limit", "imbalance",
    ]  # fmt: skip
    assert document["settled"] == {outcome.value: 0 for outcome in Outcome} | {"stopped": 700, "forbidden": 5}
    assert document["pauses"] == [
        {"reason": "throttled", "since": "2023-11-14T22:13:15.000Z", "detail": "the API answered 429"}
    ]
    assert status_json(STATS, [], 4, holds=1) == document | {"pauses": [], "limit": 4, "holds": 1}
    assert status_json(STATS, [], 4, ghosts=2) == document | {"pauses": [], "limit": 4, "ghosts": 2}
