"""`reaper list`: its rows, its lines of JSON, and what it says below them."""

import argparse
import json

import pytest

from reaper.cli.commands import list as listing
from reaper.core.errors import UsageError
from reaper.core.model import DEAD, Outcome, Retry, Send, SessionId, Settle, State
from reaper.queues.selection import OPEN_STATES, Selection
from reaper.queues.values import Batch, InvalidLine, NewItem
from tests.support.queues.harness import START, Clock, ended
from tests.support.queues.memory import MemoryQueue

pytestmark = pytest.mark.anyio


def asked(**given: object) -> argparse.Namespace:
    default: dict[str, object] = {"json": False, "quiet": False, "limit": None, "source": "", "invalid": False}
    return argparse.Namespace(**default | given)


async def filled() -> MemoryQueue:
    """Return a queue with a row of each state."""
    clock = Clock()
    queue = MemoryQueue(clock=clock)
    await queue.add(Batch("/in/a.ids", [NewItem(SessionId(name)) for name in ("flying", "failed", "refused", "gone")]))
    for decision, send in (
        (None, None),
        (Retry(300.0), Send(START, 20.0, error="timeout: \x1b[31mno answer")),
        (Settle(Outcome.REJECTED), Send(START, 0.1, status=400)),
        (Settle(Outcome.STOPPED), Send(START, 0.1, status=204)),
    ):
        (lease,) = await queue.claim(1, lease_s=60.0)
        if decision is not None:
            assert await ended(queue, lease, decision, send)
    await queue.add(Batch("add", [NewItem(SessionId("now")), NewItem(SessionId("later"), START + 7200.0)]))
    clock.now += 10.0
    await queue.add(Batch("add", [NewItem(SessionId("new"))]))
    return queue


async def test_each_id_has_a_row_and_the_counts_come_last(capsys: pytest.CaptureFixture[str]) -> None:
    queue = await filled()
    await listing.print_ids(asked(), queue, listing.selection(None, "", None))
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "session  state      due          sends  last answer                           source",
        "flying   in flight  -                1  -                                     /in/a.ids",
        "now      ready      10 s ago         0  -                                     add",
        "new      ready      now              0  -                                     add",
        r"failed   retrying   in 4 m 50 s      1  timeout: \x1b[31mno answer, 10 s ago  /in/a.ids",
        "later    scheduled  in 1 h 59 m      0  -                                     add",
        "refused  dead       -                1  400, 10 s ago                         /in/a.ids",
    ]
    assert err == "reaper: 6 IDs: 1 in flight, 2 ready, 1 scheduled, 1 retrying, 1 dead\n"


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (90, "3e9d44d0-7c3f-4a3e-9f39-0cf1c7a7a3ce  in flight  -        1  -            add"),
        (52, "3e9d44d0-7c3f-4a3e-9f39-0cf1c7a7a3ce  in flight  -"),
        (49, "3e9d44d0-7c3f-4a3e-9f39-0cf1c7a7a3ce\n  in flight; 1 send; add"),
        (20, "3e9d44d0-7c3f-4a3e-9f39-0cf1c7a7a3ce\n  in flight; 1 send;\n  add"),
    ],
)
def test_an_id_is_never_cut_and_what_has_no_room_beside_it_stands_below(width: int, line: str) -> None:
    row = ("3e9d44d0-7c3f-4a3e-9f39-0cf1c7a7a3ce", "in flight", "-", "1", "-", "add")
    assert listing.layout([row], width).line(row) == line


async def test_a_limit_is_said_with_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    queue = await filled()
    await listing.print_ids(asked(limit=2), queue, listing.selection(None, "", None))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == "reaper: the first 2 of 6 IDs: 1 in flight, 2 ready, 1 scheduled, 1 retrying, 1 dead\n"
    await listing.print_ids(asked(limit=6, quiet=True), queue, listing.selection(None, "", None))
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), err) == (7, "")


async def test_lines_of_json_have_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    queue = await filled()
    await listing.print_ids(asked(json=True), queue, listing.selection(["retrying", "dead"], "", None))
    out, err = capsys.readouterr()
    assert err == ""
    failed, refused = map(json.loads, out.splitlines())
    assert failed == {
        "session_id": "failed", "state": "retrying", "outcome": None, "due_at": "1970-01-12T13:51:40.000Z",
        "source": "/in/a.ids", "added_at": "1970-01-12T13:46:40.000Z", "round": 1, "sends": 1, "settled_at": None,
        "last_answer": {
            "at": "1970-01-12T13:46:40.000Z", "status": None, "error": "timeout: \x1b[31mno answer",
            "duration_s": 20.0, "request_id": None,
        },
    }  # fmt: skip
    assert (refused["state"], refused["outcome"], refused["due_at"]) == ("settled", "rejected", None)
    assert refused["settled_at"] == "1970-01-12T13:46:40.000Z"


@pytest.mark.parametrize(
    ("states", "source", "due_within_s", "expected"),
    [
        (None, "", None, Selection(OPEN_STATES, DEAD)),
        (None, "a", 60.0, Selection(OPEN_STATES, frozenset(), "a", 60.0)),
        (["dead"], "", None, Selection(frozenset(), DEAD)),
        (["in_flight", "ready"], "", None, Selection(frozenset({State.IN_FLIGHT, State.READY}))),
        (["dead", "ready"], "", 1.0, Selection(frozenset({State.READY}), DEAD, "", 1.0)),
    ],
)
def test_the_options_name_a_selection(
    states: list[str] | None, source: str, due_within_s: float | None, expected: Selection
) -> None:
    assert listing.selection(states, source, due_within_s) == expected


def test_dead_letters_are_never_due() -> None:
    with pytest.raises(UsageError, match="a dead letter is not due any more"):
        listing.selection(["dead"], "", 60.0)


async def test_a_refused_line_has_no_state() -> None:
    args = asked(invalid=True, state=["ready"], due_within=None)
    with pytest.raises(UsageError, match="a refused line has no state"):
        await listing.run(args, None)  # type: ignore[arg-type] # it is refused before anything is opened


async def test_an_empty_queue_is_told_from_one_where_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    queue = MemoryQueue()
    await listing.print_ids(asked(), queue, listing.selection(None, "", None))
    await listing.print_ids(asked(), queue, listing.selection(["ready"], "", None))
    await listing.print_ids(asked(json=True), queue, listing.selection(["ready"], "", None))
    assert capsys.readouterr().out.splitlines() == [listing.NOTHING, listing.NOTHING_FITS]


def test_the_advice_names_what_can_be_done_with_what_is_there() -> None:
    assert listing.advice({State.IN_FLIGHT: 1}, is_worked_on=True) == "the history of one: reaper show ID"
    said = listing.advice({State.READY: 1, Outcome.EXHAUSTED: 2}, is_worked_on=False)
    assert "reaper cancel; to try the dead again: reaper dead retry; no reaper is working on this queue" in said
    assert "no reaper" not in listing.advice({State.READY: 1}, is_worked_on=True)


async def test_refused_lines_are_listed_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    queue = MemoryQueue(clock=clock)
    await listing.print_invalid(asked(), queue)
    await listing.print_invalid(asked(source="b"), queue)
    lines = [InvalidLine(17, "character 4 is '/'", "bad/id"), InvalidLine(18, "too long", "x\x1b")]
    for _ in range(2):
        await queue.add(Batch("/in/a.ids", invalid=lines))
        clock.now += 5.0
    await queue.add(Batch("/in/b.ids", invalid=[InvalidLine(1, "empty", "")]))
    await listing.print_invalid(asked(), queue)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "no line was refused",
        "no line was refused from such a source",
        "/in/a.ids:17: bad/id: character 4 is '/'",
        "/in/a.ids:18: x\\x1b: too long",
        "/in/b.ids:1: empty",
    ]
    assert err.splitlines()[0] == "reaper: 3 lines, each once; 5 refusals were counted in all"
    await listing.print_invalid(asked(limit=1, source="a.ids"), queue)
    assert capsys.readouterr().err.startswith("reaper: the first 1 of 2 lines, each once; 5 refusals")
    await listing.print_invalid(asked(json=True, limit=1), queue)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "source": "/in/a.ids", "line": 17, "reason": "character 4 is '/'", "text": "bad/id",
        "at": "1970-01-12T13:46:45.000Z",
    }  # fmt: skip
