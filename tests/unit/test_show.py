"""`show` in words: the history of an ID, and what to do next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.cli.commands.show import history
from reaper.core.model import DEAD, REAPER, Item, Outcome, Pause, PauseReason, Send, SessionId, State, WorkerHeartbeat
from reaper.core.owners import owner_name
from reaper.queues.story import pause_of_all
from reaper.worker.comparison import REASON, UNPROVEN_REASON

NOW = 1_700_000_000.0
REAPERS = [WorkerHeartbeat(owner_name("a", "web-1", 4711), 4711, NOW - 300, NOW - 2, 64)]
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
    lines = history(GONE, NOW, REAPERS).splitlines()
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


def test_a_history_says_where_a_check_took_the_place_of_a_send() -> None:
    checked = Send(NOW - 60, 0.5, error="check: answered 500", request_id="req-2")
    lines = history(replace(GONE, history=(SENDS[0], checked, SENDS[2])), NOW, REAPERS).splitlines()
    assert lines[4].split("Z  ", 1)[1] == (
        "send 2        no DELETE: the check before it failed after 0.500 s: answered 500; request req-2"
    )


def test_a_history_names_the_operator_and_the_reason() -> None:
    taken_out = replace(GONE, outcome=Outcome.CANCELLED, detail=None, history=(), sends=0, by="ann", reason="in use")
    assert "cancelled     by ann: in use" in history(taken_out, NOW, [])
    again = replace(GONE, round=2, by="bob", reason="token was wrong", outcome=Outcome.STOPPED)
    told = "added         from ids.txt; re-opened later (round 2) by bob: token was wrong; the sends of earlier"
    assert told in history(again, NOW, [])
    assert "earlier rounds" not in history(taken_out, NOW, [])


def test_a_history_names_who_postponed_an_id_beside_its_due_time() -> None:
    waiting = replace(GONE, state=State.SCHEDULED, outcome=None, settled_at=None, due_at=NOW + 60, history=(), sends=0)
    because = replace(waiting, round=2, by="ann", reason="postponed: still in use")
    assert history(because, NOW, []).splitlines()[3].endswith("due           postponed by ann: still in use")
    assert "re-opened later (round 2); the sends of earlier rounds are in the log alone\n" in history(because, NOW, [])
    assert "due           postponed by ann\n" in history(replace(because, reason="postponed"), NOW, [])


def test_the_message_of_the_api_is_shown_and_not_its_json() -> None:
    refused = replace(GONE, outcome=Outcome.REJECTED, detail='{"error":"bad","message":"The sandbox \\"a\\" is bu')
    assert 'rejected      The sandbox "a" is bu…; 3 of 3 sends' in history(refused, NOW, [])


def test_a_history_counts_the_sends_that_are_not_kept_and_says_what_comes_next() -> None:
    waiting = replace(
        GONE, state=State.RETRYING, outcome=None, settled_at=None, due_at=NOW + 60, sends=30, unanswered=2, attempts=5
    )
    text = history(waiting, NOW, REAPERS)
    assert "env_1: retrying, due in 1 m" in text
    assert "27 earlier sends, whose details are no longer kept; 2 of them got no reply" in text
    assert "send 30 " in text
    assert text.splitlines()[-3].endswith(
        "due again     2 sends have no recorded reply: the process ended before it; 5 of 30 sends were charged to it"
    )
    assert "reaper postpone env_1 --after 0" in text
    one = replace(waiting, sends=4, unanswered=0)
    assert "…             1 earlier send, whose details are no longer kept\n" in history(one, NOW, REAPERS)
    cut_off = replace(waiting, sends=5, unanswered=2)
    assert "2 earlier sends without a recorded reply: the process ended before it\n" in history(cut_off, NOW, REAPERS)
    flying = replace(waiting, state=State.IN_FLIGHT, sends=4, unanswered=0, owner="a")
    assert "earlier sends" not in history(flying, NOW, REAPERS)
    assert "in flight     sent by reaper 4711 on web-1; if that process ends, it is sent again after" in history(
        flying, NOW, REAPERS
    )


def test_a_history_says_what_became_of_a_process_that_died() -> None:
    ready = replace(
        GONE, state=State.READY, outcome=None, settled_at=None, history=(), sends=1, unanswered=1, attempts=0
    )
    text = history(ready, NOW, [])
    assert "env_1: ready, due now" in text
    assert "due again     1 send has no recorded reply: the process ended before it" in text
    assert text.endswith("no reaper works on this queue: the next run takes it at once: reaper run, or reaper once")
    assert "reaper sends it when its turn comes" in history(ready, NOW, REAPERS)
    for reason in PauseReason:
        held = replace(REAPERS[0], pauses=(Pause(reason, NOW, "because"),))
        assert (pause_of_all(None, [held]) is None) == (reason in (PauseReason.OPERATOR, PauseReason.THROTTLED))
        assert pause_of_all(None, [held, *REAPERS]) is None, "another works"
    operator = Pause(PauseReason.OPERATOR, NOW, "maintenance")
    assert pause_of_all(operator, []) == operator
    assert pause_of_all(None, []) is None
    assert "-> the queue is paused (operator): it is sent when that ends" in history(ready, NOW, REAPERS, operator)
    assert "nothing to do" in history(GONE, NOW, REAPERS, operator)
    dead = replace(ready, state=State.IN_FLIGHT, due_at=NOW + 60, unanswered=0, owner=owner_name("b", "web-2", 9))
    text = history(dead, NOW, REAPERS)
    assert "sent by reaper 9 on web-2, which sends no heartbeat; if that process ends, it is sent again after" in text
    assert "sent by a reaper that sends no heartbeat" in history(replace(dead, owner="b"), NOW, REAPERS)
    assert "no reaper sends a heartbeat: if the one that sent it is dead" in history(dead, NOW, [])


@pytest.mark.parametrize("why", [REASON, UNPROVEN_REASON, f"{'as the owner said ' * 27}now"])
def test_a_reason_is_readable_whole(why: str) -> None:
    again = replace(GONE, round=2, by=REAPER, reason=why)
    assert f"by {REAPER}: {why}; " in history(again, NOW, [])
    shown = history(again, NOW, [], width=80)
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    assert why in " ".join(shown.split())
    cancelled = replace(GONE, outcome=Outcome.CANCELLED, history=(), by="ann", reason=why)
    assert f"by ann: {why}" in history(cancelled, NOW, [])


def test_a_source_and_an_error_are_shown_whole_and_cannot_steer_the_terminal() -> None:
    path = f"/srv/{'lists/' * 20}ids.txt"
    lost = Send(NOW - 60, 1.0, error=f"tls: {'the certificate has expired ' * 5}\x1b[2J")
    text = history(replace(GONE, source=path, history=(lost,), sends=1), NOW, [])
    assert f"from {path}\n" in text
    assert "the certificate has expired \\x1b[2J" in text
    assert len(history(replace(GONE, source="x" * 100_000), NOW, [])) < 3_000, "a row that no reaper wrote"


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_says_what_to_do(outcome: Outcome) -> None:
    last = history(replace(GONE, outcome=outcome), NOW, REAPERS).splitlines()[-1]
    assert last.startswith("-> ")
    assert ("reaper dead retry env_1" in last) == (outcome in DEAD)
    assert "{" not in last


def test_on_a_terminal_an_events_lines_stand_below_its_facts_or_below_its_name() -> None:
    long = Send(NOW - 60, 20.0, error="timeout: no answer within 20 s, which is longer than it ever took")
    item = replace(GONE, outcome=Outcome.FORBIDDEN, history=(long,), sends=1)
    assert history(item, NOW, [], width=80).splitlines()[4] == f"{'':38}answer within 20 s, which is longer than"
    assert history(item, NOW, [], width=40).splitlines()[2:8] == [
        "  2023-11-14 22:11:40Z  added",
        "      from ids.txt",
        "  2023-11-14 22:12:20Z  send 1",
        "      no answer after 20.000 s: timeout:",
        "      no answer within 20 s, which is",
        "      longer than it ever took",
    ]
