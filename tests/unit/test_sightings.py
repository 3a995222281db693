"""Sightings of orphans: which are kept, and which are forgotten."""

import pytest

from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.sightings import Owners, Sightings, read_sightings, update_sightings
from reaper.core.model import SessionId

A, B = SessionId("a"), SessionId("b")
OWNERS = frozenset({"alive"})
ORPHANS = [SessionSummary(A, batch_id="gone"), SessionSummary(B, batch_id="gone")]


def updated(
    before: dict[SessionId, float], sessions: list[SessionSummary], owners: Owners, now: float | None
) -> dict[SessionId, float]:
    return dict(update_sightings(Sightings(before), sessions, owners, now).first)


def test_the_first_sighting_counts_and_stays() -> None:
    assert updated({}, ORPHANS, OWNERS, 100.0) == {A: 100.0, B: 100.0}
    assert updated({A: 100.0}, ORPHANS, OWNERS, 160.0) == {A: 100.0, B: 160.0}


def test_a_session_that_is_not_listed_or_has_an_owner_is_forgotten() -> None:
    adopted = [SessionSummary(A, batch_id="alive"), SessionSummary(B)]
    assert updated({A: 1.0, B: 1.0}, adopted, OWNERS, 9.0) == {}
    assert updated({A: 1.0, B: 1.0}, ORPHANS[:1], OWNERS, 9.0) == {A: 1.0}
    assert updated({A: 1.0}, [], OWNERS, 9.0) == {}


@pytest.mark.parametrize("owners", [None, frozenset[str]()])
def test_while_the_owners_are_not_known_nobody_is_an_orphan(owners: Owners) -> None:
    assert updated({A: 1.0}, ORPHANS, owners, 9.0) == {}


def test_without_the_servers_time_nothing_changes_and_a_time_to_come_counts_from_now() -> None:
    assert updated({A: 1.0}, [], OWNERS, None) == {A: 1.0}
    assert updated({A: 500.0}, ORPHANS[:1], OWNERS, 9.0) == {A: 9.0}


def test_sightings_survive_as_text() -> None:
    seen = update_sightings(Sightings(), ORPHANS, OWNERS, 100.25)
    assert seen.to_text() == '{"a":100.25,"b":100.25}'
    assert read_sightings(seen.to_text()) == seen
    assert read_sightings(None) == read_sightings("") == Sightings()


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '{"a/b": 1}', '{"a": "1"}', '{"a": NaN}', '{"a": Infinity}', "[" * 100_000, "9" * 5000]
)
def test_an_unreadable_text_counts_as_no_sightings(text: str) -> None:
    assert read_sightings(text) == Sightings()


def test_a_time_too_large_for_a_float_counts_as_no_sighting() -> None:
    assert read_sightings('{"a": 1' + "0" * 400 + "}") == Sightings()
