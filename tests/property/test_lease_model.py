"""Every order in which two workers, three IDs and what goes wrong can meet: nothing is lost, nothing settled twice.

LEASE_MODEL_FAULTS=4 looks further: up to so many things go wrong on one way (minutes for 4).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import reaper
from reaper.core.model import Answered, Decision, Lease, Outcome, Reply, Settle
from tests.support.queues.lease_model import NOBODY, Id, Protocol
from tests.support.queues.lease_search import Search

IDS = 3
FAULTS = int(os.environ.get("LEASE_MODEL_FAULTS", "3"))
PAGE = Path(reaper.__file__).parents[1] / "docs" / "proof.md"


@pytest.mark.slow
@pytest.mark.timeout(0 if FAULTS > 3 else 120)
@pytest.mark.parametrize(
    ("sees_death", "faults"), [(True, FAULTS), (False, FAULTS - 1)], ids=["one machine", "an engine elsewhere"]
)
def test_no_order_of_steps_breaks_the_protocol(sees_death: bool, faults: int) -> None:
    found = Search(Protocol(sees_death=sees_death)).run(IDS, faults)
    assert found.wrong is None, found.wrong
    where = "one machine" if sees_death else "an engine elsewhere"
    row = f"| {where} | {faults} | {found.states:,} | {found.steps:,} | {found.settled:,} |"
    print(row)
    if FAULTS == 3:
        assert row in PAGE.read_text(encoding="utf-8"), f"docs/proof.md should have the row\n{row}"


def stopped_anyway(reply: Reply, lease: Lease, others_final: bool) -> Decision:
    """Decide as the code does, but take a 404 for gone whoever said it."""
    if isinstance(reply, Answered) and reply.status == 404:
        return Settle(Outcome.ALREADY_GONE)
    return Protocol().decides(reply, lease, others_final)


SOUND = Protocol()
PLANTED = {
    "no fence": (replace(SOUND, fenced=lambda one, worker: True), "an ID that was settled changed"),
    "any lease will do": (
        replace(SOUND, fenced=lambda one, worker: one.holder != NOBODY),
        "a stale receipt changed the row",
    ),
    "held by two": (replace(SOUND, claimable=lambda one: True), "claimed that somebody holds"),
    "a lease never ends": (
        replace(SOUND, claimable=lambda one: one.holder == NOBODY, sees_death=False),
        "nobody will ever settle all of it",
    ),
    "not counted": (replace(SOUND, counts=lambda names: ()), "the books do not balance: accepted = settled"),
    "counted twice": (replace(SOUND, counts=lambda names: names * 2), "the books do not balance: accepted = settled"),
    "the sends are not": (
        replace(SOUND, counts=lambda names: tuple(name for name in names if "answered" not in name)),
        "the books do not balance: stopped = answers",
    ),
    "any 404 is gone": (replace(SOUND, decides=stopped_anyway), "already_gone without the answer that says so"),
    "an outcome before the answer": (
        replace(SOUND, decides=lambda reply, lease, others: Settle(Outcome.STOPPED)),
        "the books do not balance: stopped = answers 2xx recorded",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_the_search_finds_a_planted_bug(planted: str) -> None:
    """The way there is printed, and is a short one."""
    protocol, wrong = PLANTED[planted]
    found = Search(protocol).run(IDS, 1)
    assert found.wrong is not None
    assert wrong in found.wrong
    assert 2 <= len(found.wrong.splitlines()) <= 8, found.wrong


def test_the_way_to_a_planted_bug_is_told_step_by_step() -> None:
    found = Search(PLANTED["no fence"][0]).run(1, 1)
    assert found.wrong is not None
    assert found.wrong.splitlines() == [
        "worker 1 claims",
        "worker 1 sends: 204",
        "worker 1 applies, and the answer is lost",
        "wrong: worker 1 applies: an ID that was settled changed",
    ]


def test_workers_and_ids_are_interchangeable() -> None:
    one = Id(holder=1)
    assert one.swapped().holder == 2
    assert one.swapped().swapped() == one
    assert Search(SOUND).run(1, 1).states < Search(SOUND).run(2, 1).states < Search(SOUND).run(IDS, 1).states
