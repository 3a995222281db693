"""The guards of a sweep (docs/discovery.md): `guard.*`, and the lists that are unusable. Pure.

A sweep is one reading of the list, judged. It passes whole, is held whole or is refused whole, never cut to a portion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from reaper.core.discovery.holds import HOLD_LIFE_S, Guard, Hold, Holds, keepers
from reaper.core.discovery.listing import Listing
from reaper.core.discovery.policy import Action, Judged, Rule
from reaper.core.model import SessionId
from reaper.core.text import pluralize

SMALL = 10
"""The least live sessions for which a share means something: two of three is an ordinary sweep (docs/discovery.md)."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """`guard.*`. A sweep is held when the list shrinks by the share `list_shrink` from one reading to the next."""

    max_per_sweep: int = 100
    max_share: float = 0.5
    list_shrink: float = 0.5


@dataclass(frozen=True, slots=True)
class Sweep:
    """One reading of the list, with the judgement of each session.

    `known`: the sessions of this reading and of the one before that the queue has accepted already, from any intake.
    This sweep neither stops nor misses them, so that an approved hold or a slow API trips no guard again.
    """

    listing: Listing
    judged: tuple[Judged, ...]
    known: frozenset[SessionId] = frozenset()

    @property
    def chosen(self) -> dict[SessionId, Rule]:
        """The sessions that this sweep would stop, each with its rule."""
        return {
            each.session.session_id: each.verdict.rule
            for each in self.judged
            if each.verdict.action is Action.REAP and each.session.session_id not in self.known
        }

    @property
    def listed(self) -> frozenset[SessionId]:
        """The sessions of the list without the `known` ones."""
        return frozenset(each.session.session_id for each in self.judged) - self.known

    @property
    def live(self) -> int:
        """The number of `listed` sessions that have not ended."""
        ended = {each.session.session_id for each in self.judged if each.verdict.rule is Rule.ENDED}
        return len(self.listed - ended)


@dataclass(frozen=True, slots=True)
class Pass:
    """The sweep is within every limit: all of its `sessions` may be stopped."""

    sessions: Mapping[SessionId, Rule]


@dataclass(frozen=True, slots=True)
class UnusableListing:
    """The list is unusable. There is nothing to approve: the next reading is judged anew."""

    reason: str


Ruling = Pass | Hold | UnusableListing


def check_guards(
    sweep: Sweep, limits: GuardLimits, *, previous: frozenset[SessionId] | None, hold_id: str, now: float
) -> Ruling:
    """Return whether a sweep passes, is held or is refused.

    Args:
        sweep: the judged list.
        limits: `guard.*`.
        previous: the sessions of the reading before, as `next_baseline` returned them; None: there was none.
        hold_id: the ID of the hold if there is one; a new ID at each call.
        now: this machine's time, Unix seconds: a hold goes by the operator's clock.
    """
    listing, chosen, live, listed = sweep.listing, sweep.chosen, sweep.live, len(sweep.listed)
    if listing.malformed:
        return UnusableListing(
            f"{pluralize(listing.malformed, 'entry of the list is', 'entries of the list are')} malformed or doubled: "
            + "; ".join(listing.faults)
        )
    if not chosen:
        return Pass({})
    tripped: dict[Guard, str] = {}
    would = "sessions would be stopped"
    if len(chosen) > limits.max_per_sweep:
        tripped[Guard.MAX_PER_SWEEP] = f"{len(chosen)} {would}, guard.max_per_sweep is {limits.max_per_sweep}"
    # Divided, not multiplied: 29 of 100 are exactly 0.29, but 0.29 times 100 is less than 29.
    if live >= SMALL and len(chosen) / live > limits.max_share:
        tripped[Guard.MAX_SHARE] = f"{len(chosen)} of {live} live {would}, guard.max_share is {limits.max_share:g}"
    expected = len(previous - sweep.known) if previous is not None else 0
    if expected >= SMALL and (expected - listed) / expected >= limits.list_shrink:
        tripped[Guard.LIST_SHRINK] = (
            f"{listed} sessions are listed where the reading before had {expected}, "
            f"guard.list_shrink is {limits.list_shrink:g}"
        )
    if not tripped:
        return Pass(chosen)
    return Hold(hold_id, now, now + HOLD_LIFE_S, tuple(tripped), "; ".join(tripped.values()), chosen)


def heed_holds(ruling: Ruling, holds: Holds, now: float) -> tuple[Ruling, int]:
    """Return what is left of a sweep that passed, without the sessions that earlier holds keep, and how many those are.

    Where they keep all of it, the ruling is the hold that keeps the first.
    """
    if not isinstance(ruling, Pass) or not (kept := keepers(holds, ruling.sessions, now)):
        return ruling, 0
    left = {each: rule for each, rule in ruling.sessions.items() if each not in kept}
    return Pass(left) if left else next(iter(kept.values())), len(kept)


def next_baseline(sweep: Sweep, ruling: Ruling, before: frozenset[SessionId] | None) -> frozenset[SessionId] | None:
    """Return the sessions that the next list is compared with: `previous` of the next `check_guards`.

    After a list that is unusable, or held for its shrinking, the baseline stays as it was. Once such a hold is decided
    or has expired, the caller begins anew with None.
    """
    match ruling:
        case UnusableListing():
            return before
        case Hold(guards=guards):
            return before if Guard.LIST_SHRINK in guards else sweep.listed
        case Pass():
            return sweep.listed
        case _ as never:
            assert_never(never)
