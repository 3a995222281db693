"""Ghosts: sessions listed as alive after their end, twice, a minute apart; reported once, and forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.core.discovery.ghosts import APART_S, Ghosts, read_ghosts, update_ghosts
from reaper.core.discovery.listing import SessionSummary
from reaper.core.model import Outcome, SessionId

ONE = SessionId("ses-1")
ALIVE = SessionSummary(ONE, status="running", alive=True)
STOPPED: dict[SessionId, Outcome | None] = {ONE: Outcome.STOPPED}


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.ALREADY_GONE])
def test_two_sightings_a_minute_apart_prove_a_ghost_which_is_reported_once(outcome: Outcome) -> None:
    ghosts, new = update_ghosts(Ghosts(), [ALIVE], {ONE: outcome}, 1_000.0)
    assert new == []
    ghosts, new = update_ghosts(ghosts, [ALIVE], {ONE: outcome}, 1_000.0 + APART_S - 1)
    assert new == []
    ghosts, new = update_ghosts(ghosts, [ALIVE], {ONE: outcome}, 1_000.0 + APART_S)
    assert (new, ghosts.proven) == ([ONE], frozenset({ONE}))
    ghosts, new = update_ghosts(ghosts, [ALIVE], {ONE: outcome}, 1_000.0 + 10 * APART_S)
    assert (new, ghosts.proven) == ([], frozenset({ONE}))
    assert read_ghosts(ghosts.to_text()) == ghosts


@pytest.mark.parametrize(
    "session", [replace(ALIVE, status="ended"), replace(ALIVE, alive=False), replace(ALIVE, status=None)]
)
def test_a_session_that_is_not_listed_as_alive_is_no_ghost(session: SessionSummary) -> None:
    seen = Ghosts({ONE: 0.0})
    assert update_ghosts(seen, [session], STOPPED, 1_000.0) == (Ghosts(), [])
    assert update_ghosts(seen, [], STOPPED, 1_000.0) == (Ghosts(), [])


@pytest.mark.parametrize("outcome", [None, Outcome.FORBIDDEN, Outcome.PROTECTED, Outcome.CANCELLED])
def test_a_session_without_a_proven_end_is_no_ghost(outcome: Outcome | None) -> None:
    assert update_ghosts(Ghosts({ONE: 0.0}), [ALIVE], {ONE: outcome}, 1_000.0) == (Ghosts(), [])
    assert update_ghosts(Ghosts({ONE: 0.0}), [ALIVE], {}, 1_000.0) == (Ghosts(), [])


def test_a_clock_that_was_set_back_only_delays_the_report() -> None:
    ghosts, new = update_ghosts(Ghosts({ONE: 5_000.0}), [ALIVE], STOPPED, 1_000.0)
    assert (ghosts.first, new) == ({ONE: 1_000.0}, [])


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"first": 7}', '{"first": {"a": "x"}}', '{"proven": 7}'])
def test_an_unreadable_text_counts_as_no_ghosts(text: str | None) -> None:
    assert read_ghosts(text) == Ghosts()


def test_the_least_time_between_sightings_is_a_minute() -> None:
    assert APART_S == 60.0
