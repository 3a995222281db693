"""`show` and `status` in words: the story of an ID, the board, and what both say to do next."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from reaper.cli.commands.show import story, tell
from reaper.cli.commands.status import DiscoveryCounts, QueueSnapshot, StatusWatcher, status_text
from reaper.cli.terminal.dashboard import board
from reaper.core.model import DEAD, Item, Outcome, Pause, PauseReason, Send, SessionId, State, Stats, WorkerHeartbeat

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


def test_a_story_is_told_in_the_order_of_time() -> None:
    lines = story(GONE, NOW).splitlines()
    assert lines[0] == "env_1: already gone, 29 s ago"
    told = [line.split("Z  ", 1)[1] for line in lines[2:-2]]
    assert told == [
        "added         from ids.txt",
        "send 1        502 after 0.250 s; request req-1",
        "send 2        no answer after 20.000 s: timeout: no answer within 20 s",
        "send 3        404 after 0.120 s",
        "already gone  after_ambiguous; 3 of 3 sends were charged to it",
    ]
    assert lines[-1] == "-> nothing to do"


def test_a_story_tells_who_and_why() -> None:
    taken_out = replace(GONE, outcome=Outcome.CANCELLED, detail=None, history=(), sends=0, by="ann", reason="in use")
    assert "cancelled     by ann: in use" in story(taken_out, NOW)
    again = replace(GONE, round=2, by="bob", reason="token was wrong", outcome=Outcome.STOPPED)
    assert "added         from ids.txt; this is round 2; by bob: token was wrong" in story(again, NOW)


def test_sends_that_are_not_kept_and_what_comes_next_are_told() -> None:
    waiting = replace(
        GONE, state=State.DELAYED, outcome=None, settled_at=None, due_at=NOW + 60, sends=30, unanswered=2, attempts=5
    )
    text = story(waiting, NOW)
    assert "env_1: waiting, due in 1 m" in text
    assert "27 sends of which no more is kept; 2 of them had no answer" in text
    assert "send 30 " in text
    assert text.splitlines()[-3].endswith("due again     5 of 30 sends were charged to it")
    assert "reaper postpone env_1 --after 0" in text
    flying = replace(waiting, state=State.IN_FLIGHT, sends=4, unanswered=0)
    assert "no more is kept" not in story(flying, NOW)
    assert "in flight" in story(flying, NOW)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_says_what_to_do(outcome: Outcome) -> None:
    last = story(replace(GONE, outcome=outcome), NOW).splitlines()[-1]
    assert last.startswith("-> ")
    assert ("reaper dead retry env_1" in last) == (outcome in DEAD)
    assert "{" not in last


# --- status -------------------------------------------------------------------------------------------------------

STATS = Stats(
    ready=1234, delayed=12, in_flight=32, accepted=2000, settled={Outcome.STOPPED: 700, Outcome.FORBIDDEN: 5}, dead=5,
    duplicate=0, invalid=0, oldest_due_s=182.0,
)  # fmt: skip
PAUSE = Pause(PauseReason.THROTTLED, NOW - 5, "the API answered 429", until=NOW + 25)
REAPERS = [
    WorkerHeartbeat("a", 4711, NOW - 300, NOW - 2, 64, (PAUSE,)),
    WorkerHeartbeat("b", 4712, NOW - 3, NOW - 1, 8),
]


def watched(standing: QueueSnapshot) -> StatusWatcher:
    it = StatusWatcher("sqlite:////var/lib/reaper/reaper.db", standing=standing)
    it.pace.note(0.0, 100)
    it.pace.note(60.0, 700)
    return it


def screen(it: StatusWatcher, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(board(it, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_status_says_what_holds_and_what_to_do() -> None:
    text = status_text(QueueSnapshot(STATS, REAPERS, [PAUSE], DiscoveryCounts(1, 2), NOW))
    assert "ready               1234   oldest due for 3 m 2 s" in text
    assert "in flight             32   limit 72" in text
    assert "PAUSED: throttled, for 5 s, ends in 25 s: the API answered 429\n  -> nothing to do" in text
    assert "HELD: 1 sweep waits for you; see: reaper holds" in text
    assert "GHOSTS: 2 sessions" in text
    idle = status_text(QueueSnapshot(STATS, [], [], DiscoveryCounts(), NOW))
    assert "no reaper is working on this queue; start one: reaper run" in idle


def test_on_a_narrow_terminal_what_to_do_next_goes_on_at_the_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    long = Send(NOW - 60, 20.0, error="timeout: no answer within 20 s, which is longer than it ever took")
    tell(story(replace(GONE, outcome=Outcome.FORBIDDEN, history=(long,), sends=1), NOW))
    lines = capsys.readouterr().out.splitlines()
    assert lines[4] == f"{'':38}answer within 20 s, which is longer than"
    assert lines[-2:] == [
        "-> the token may not stop it. With a token that may: reaper dead retry env_1; to",
        "   forget it: reaper dead purge env_1",
    ]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_board_fits_and_tells_all(width: int) -> None:
    it = watched(QueueSnapshot(STATS, REAPERS, [PAUSE], DiscoveryCounts(1, 2), NOW))
    it._lately = [replace(GONE, settled_at=NOW - 1)]
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


def test_a_board_without_an_answer_keeps_the_last_and_says_so() -> None:
    it = watched(QueueSnapshot(STATS, [], [], DiscoveryCounts(), NOW))
    it.trouble = "the ledger is locked"
    text = "\n".join(screen(it, 80))
    assert "QUEUE AWAY: the ledger is locked" in text
    assert "1,234" in text
    assert "QUEUE AWAY" in "\n".join(screen(StatusWatcher("x", trouble="gone"), 80))
