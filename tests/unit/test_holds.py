"""Holds: added once, decided once, expired in time, and the same after a journey through text."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from reaper.core.discovery.holds import (
    DECIDED_KEPT,
    HOLD_LIFE_S,
    Guard,
    Hold,
    HoldHead,
    Holds,
    HoldState,
    Refused,
    add_hold,
    approve,
    discard,
    expire,
    open_holds,
    read_heads,
    read_holds,
    to_text,
)
from reaper.core.discovery.policy import Rule
from reaper.core.model import SessionId

NOW = 2_000_000_000.0


def hold(
    hold_id: str = "h1", *, at: float = NOW, guards: tuple[Guard, ...] = (Guard.MAX_SHARE,), ids: str = "a b"
) -> Hold:
    sessions = dict.fromkeys(map(SessionId, ids.split()), Rule.EXPIRED)
    return Hold(hold_id, at, at + HOLD_LIFE_S, guards, "6 of 10", sessions)


def decided(result: tuple[Holds, Hold] | Refused) -> Holds:
    assert not isinstance(result, Refused)
    return result[0]


def test_a_hold_is_added_once_while_it_is_open() -> None:
    first = add_hold((), hold())
    assert first == (hold(),)
    assert add_hold(first, hold("h2", at=NOW + 60, ids="a b c")) is first
    both = add_hold(first, hold("h3", at=NOW + 60, guards=(Guard.MAX_PER_SWEEP, Guard.MAX_SHARE)))
    assert [each.id for each in both] == ["h1", "h3"]
    assert add_hold(both, hold("h4", at=NOW + 61, guards=(Guard.MAX_PER_SWEEP,))) is both
    assert len(add_hold(first, hold("h5", at=NOW + HOLD_LIFE_S))) == 2


def test_discarded_sessions_are_not_held_again_unless_there_are_more() -> None:
    holds = decided(discard(add_hold((), hold()), "h1", by="ann", why="they are mine", now=NOW + 5))
    assert add_hold(holds, hold("h2", at=NOW + 60)) is holds
    assert add_hold(holds, hold("h2", at=NOW + 60, guards=(Guard.LIST_SHRINK,), ids="a")) is holds
    assert len(add_hold(holds, hold("h2", at=NOW + 60, ids="a b c"))) == 2
    assert len(add_hold(holds, hold("h2", at=NOW + HOLD_LIFE_S))) == 2


def test_after_an_approval_a_new_sweep_may_be_held_anew() -> None:
    holds = decided(approve(add_hold((), hold()), "h1", by="ann", why=None, now=NOW + 5))
    assert len(add_hold(holds, hold("h2", at=NOW + 60))) == 2


def test_approving_returns_the_hold_with_the_operator_and_the_reason() -> None:
    two = add_hold(add_hold((), hold()), hold("h2", guards=(Guard.LIST_SHRINK,)))
    result = approve(two, "h1", by="ann", why="checked", now=NOW + 5)
    assert not isinstance(result, Refused)
    holds, approved = result
    assert approved == replace(hold(), fate=HoldState.APPROVED, by="ann", why="checked", decided_at=NOW + 5)
    assert holds == (approved, two[1])
    assert two[0].fate is HoldState.OPEN, "the list that was given is another one"
    assert open_holds(holds, NOW + 5) == (two[1],)
    assert approve(holds, "h1", by="bob", why="again", now=NOW + 2 * HOLD_LIFE_S) == (holds, approved)


def test_a_hold_is_decided_once() -> None:
    holds = add_hold((), hold())
    approved = decided(approve(holds, "h1", by="ann", why=None, now=NOW))
    discarded = decided(discard(holds, "h1", by="bob", why="no", now=NOW))
    assert discard(approved, "h1", by="bob", why="no", now=NOW) == Refused("hold h1 was approved by ann")
    assert approve(discarded, "h1", by="ann", why=None, now=NOW) == Refused("hold h1 was discarded by bob")
    assert discard(discarded, "h1", by="ann", why="never", now=NOW) == (discarded, discarded[0])
    assert approve(holds, "h9", by="ann", why=None, now=NOW) == Refused("there is no hold h9")


def test_holds_expire_and_say_so() -> None:
    holds, end = add_hold((), hold()), NOW + HOLD_LIFE_S
    assert expire(holds, end - 0.001) == holds
    closed = expire(holds, end)
    assert closed == (replace(hold(), fate=HoldState.EXPIRED, decided_at=end),)
    assert (open_holds(holds, end - 1), open_holds(holds, end), open_holds(closed, NOW)) == (holds, (), ())
    for each in (holds, closed):
        refused = approve(each, "h1", by="ann", why=None, now=end)
        assert isinstance(refused, Refused)
        assert "has expired" in refused.reason
    assert decided(approve(holds, "h1", by="ann", why=None, now=end - 1))
    kept = decided(discard(holds, "h1", by="ann", why="no", now=NOW))
    assert expire(kept, end) == kept


def test_closed_holds_are_kept_up_to_a_number_and_open_ones_all() -> None:
    holds = add_hold((), hold("open", guards=tuple(Guard)))
    for n in range(DECIDED_KEPT + 5):
        closed = replace(hold(f"h{n}"), fate=HoldState.APPROVED, by="ann", decided_at=NOW)
        holds = expire((*holds, closed), NOW)
    assert [each.id for each in holds] == ["open", *(f"h{n}" for n in range(5, DECIDED_KEPT + 5))]


def test_holds_survive_as_text() -> None:
    holds = (
        hold(guards=tuple(Guard)),
        replace(hold("h2"), fate=HoldState.DISCARDED, by="ann ü", why='"no"', decided_at=NOW + 0.5),
        replace(hold("h3", ids=""), fate=HoldState.EXPIRED, decided_at=NOW),
    )
    assert read_holds(to_text(holds)) == holds
    assert json.loads(to_text(holds))[0]["sessions"] == {"a": "expired", "b": "expired"}
    assert read_holds(None) == read_holds("") == read_holds("[]") == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"sessions": ["a"]},
        {"sessions": {"a/b": "expired"}},
        {"sessions": {"a": "live"}},
        {"sessions": {"a": "odd"}},
        {"guards": []},
        {"guards": "max_share"},
        {"guards": ["odd"]},
        {"fate": "odd"},
        {"created_at": "now"},
        {"created_at": "5"},
        {"expires_at": None},
    ],
)
def test_a_hold_that_cannot_be_read_is_not_forgotten_silently(changed: dict[str, object]) -> None:
    each = json.loads(to_text((hold(),)))[0]
    with pytest.raises(ValueError, match=r"."):
        read_holds(json.dumps([each | changed]))


def test_heads_say_what_the_holds_say() -> None:
    whole = (hold(), replace(hold("h2"), by="ann", why="checked", fate=HoldState.APPROVED, decided_at=NOW + 1))
    assert read_heads(to_text(whole)) == tuple(
        HoldHead(each.id, each.expires_at, each.reason, len(each.sessions), each.fate, each.by, each.why)
        for each in whole
    )
    assert read_heads(None) == ()
    with pytest.raises(ValueError, match="sessions is no object"):
        read_heads(to_text(whole).replace('{"a":"expired","b":"expired"}', '["a","b"]'))


@pytest.mark.parametrize("text", ["{", "5", "[5]", "[{}]", "null", '["a"]', "[" * 100_000])
@pytest.mark.parametrize("read", [read_holds, read_heads])
def test_a_text_that_is_no_list_of_holds_is_refused(text: str, read: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)


def test_a_hold_waits_a_day_and_twenty_closed_ones_are_kept() -> None:
    assert (HOLD_LIFE_S, DECIDED_KEPT) == (86_400.0, 20)
