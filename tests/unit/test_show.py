"""`show` in words: the history of an ID, and what to do next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.cli.commands.show import history, print_history
from reaper.core.model import DEAD, Item, Outcome, Send, SessionId, State

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


def test_a_history_is_in_the_order_of_time() -> None:
    lines = history(GONE, NOW).splitlines()
    assert lines[0] == "env_1: already gone, 29 s ago"
    events = [line.split("Z  ", 1)[1] for line in lines[2:-2]]
    assert events == [
        "added         from ids.txt",
        "send 1        502 after 0.250 s; request req-1",
        "send 2        no answer after 20.000 s: timeout: no answer within 20 s",
        "send 3        404 after 0.120 s",
        "already gone  after_ambiguous; 3 of 3 sends were charged to it",
    ]
    assert lines[-1] == "-> nothing to do"


def test_a_history_names_the_operator_and_the_reason() -> None:
    taken_out = replace(GONE, outcome=Outcome.CANCELLED, detail=None, history=(), sends=0, by="ann", reason="in use")
    assert "cancelled     by ann: in use" in history(taken_out, NOW)
    again = replace(GONE, round=2, by="bob", reason="token was wrong", outcome=Outcome.STOPPED)
    assert "added         from ids.txt; this is round 2; by bob: token was wrong" in history(again, NOW)


def test_a_history_counts_the_sends_that_are_not_kept_and_says_what_comes_next() -> None:
    waiting = replace(
        GONE, state=State.DELAYED, outcome=None, settled_at=None, due_at=NOW + 60, sends=30, unanswered=2, attempts=5
    )
    text = history(waiting, NOW)
    assert "env_1: waiting, due in 1 m" in text
    assert "27 earlier sends, whose details are no longer kept; 2 of them got no reply" in text
    assert "send 30 " in text
    assert text.splitlines()[-3].endswith("due again     5 of 30 sends were charged to it")
    assert "reaper postpone env_1 --after 0" in text
    flying = replace(waiting, state=State.IN_FLIGHT, sends=4, unanswered=0)
    assert "earlier sends" not in history(flying, NOW)
    assert "in flight" in history(flying, NOW)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_says_what_to_do(outcome: Outcome) -> None:
    last = history(replace(GONE, outcome=outcome), NOW).splitlines()[-1]
    assert last.startswith("-> ")
    assert ("reaper dead retry env_1" in last) == (outcome in DEAD)
    assert "{" not in last


def test_on_a_narrow_terminal_what_to_do_next_goes_on_at_the_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    long = Send(NOW - 60, 20.0, error="timeout: no answer within 20 s, which is longer than it ever took")
    print_history(history(replace(GONE, outcome=Outcome.FORBIDDEN, history=(long,), sends=1), NOW))
    lines = capsys.readouterr().out.splitlines()
    assert lines[4] == f"{'':38}answer within 20 s, which is longer than"
    assert lines[-2:] == [
        "-> the token may not stop it. With a token that may: reaper dead retry env_1; to",
        "   delete it: reaper dead purge env_1",
    ]
