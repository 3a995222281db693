"""Conditions of the page's lists and acts, groups of dead letters, and the record of acts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reaper.core.acts import MAX_KEPT, Act, read_acts, with_act
from reaper.core.model import DEAD, Item, Outcome, SessionId, State
from reaper.queues.dead_groups import DeadGroup, DeadGroups, group_of
from reaper.queues.selection import OPEN_STATES, Selection
from reaper.queues.where import where_of

LETTER = Item(
    SessionId("env_1"),
    State.SETTLED,
    Outcome.REJECTED,
    "ids.txt",
    1.0,
    1.0,
    1,
    1,
    1,
    0,
    (),
    422,
    "no env_1 here",
    100.0,
)
NONE = frozenset[State]()


@pytest.mark.parametrize(
    ("fields", "selection"),
    [
        ({}, Selection(OPEN_STATES, DEAD)),
        ({"state": "ready"}, Selection(frozenset({State.READY}))),
        ({"state": "dead", "source": "a"}, Selection(NONE, DEAD, "a")),
        ({"outcome": "exhausted"}, Selection(NONE, frozenset({Outcome.EXHAUSTED}))),
        ({"status": "404"}, Selection(NONE, DEAD)),
        ({"message": ""}, Selection(NONE, DEAD)),
    ],
)
def test_fields_choose_rows(fields: dict[str, str], selection: Selection) -> None:
    assert where_of(fields).selection == selection


@pytest.mark.parametrize(
    "fields", [{"state": "settled"}, {"state": "x"}, {"outcome": "stopped"}, {"state": "ready", "status": "404"}]
)
def test_fields_that_choose_nothing_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is one of|choose among dead letters"):
        where_of(fields)


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"status": "422"}, True),
        ({"status": "403"}, False),
        ({"status": "none"}, False),
        ({"message": "no ID here"}, True),
        ({"message": "no env_1 here"}, False),
        ({"message": ""}, False),
    ],
)
def test_a_group_is_its_status_and_message(fields: dict[str, str], *, fits: bool) -> None:
    assert where_of(fields).fits(LETTER) is fits
    assert where_of(fields).fits(replace(LETTER, outcome=None, state=State.READY)) is (not fields)


def test_letters_that_differ_in_their_own_id_alone_are_one_group() -> None:
    groups = DeadGroups()
    for number, at in ((1, 100.0), (2, 50.0), (3, 70.0)):
        name = SessionId(f"env_{number}")
        groups.add(replace(LETTER, session_id=name, detail=f"no {name} here", settled_at=at))
    groups.add(replace(LETTER, outcome=Outcome.EXHAUSTED, status=None, detail=None))
    (first, count), (second, _) = groups.largest_first()
    assert first == DeadGroup(Outcome.REJECTED, 422, "no ID here")
    assert (count.count, count.first_at, count.last_at) == (3, 50.0, 100.0)
    assert second == group_of(replace(LETTER, outcome=Outcome.EXHAUSTED, status=None, detail=None))


def test_the_newest_acts_are_kept() -> None:
    text = None
    for number in range(MAX_KEPT + 5):
        text = with_act(text, Act(float(number), "ann", "retry", number, "all", "why"))
    acts = read_acts(text)
    assert len(acts) == MAX_KEPT
    assert acts[-1] == Act(MAX_KEPT + 4.0, "ann", "retry", MAX_KEPT + 4, "all", "why")


@pytest.mark.parametrize("text", ["", "{", "7", "null", '[{"at": 1}]', "[7]", json.dumps([{"at": "x"}]), "[" * 9999])
def test_a_record_that_cannot_be_read_stops_no_act(text: str) -> None:
    assert read_acts(text) == ()
    assert len(read_acts(with_act(text, Act(1.0, "ann", "resume", 0)))) == 1
