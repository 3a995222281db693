"""Counts one judged reading of the list by rule, and what of it the queue knows already (docs/discovery.md). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from reaper.core.discovery.policy import REAPING, SIGHTINGS_APART_S, Judged, Rule
from reaper.core.discovery.sightings import Owners, Sightings, orphaned
from reaper.core.model import Outcome, SessionId


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The listed sessions that one rule decided about."""

    rule: Rule
    listed: int = 0
    queued: int = 0
    """Of these, open in the queue already, from any intake: a sweep adds none of them."""
    settled: Mapping[Outcome, int] = field(default_factory=dict)
    """Of these, settled already, and not chosen again."""

    @property
    def chosen(self) -> int:
        """How many of them a sweep would add to the queue."""
        return self.listed - self.queued - sum(self.settled.values()) if self.rule in REAPING else 0


@dataclass(frozen=True, slots=True)
class Findings:
    """The counts of one reading, and why orphans may be missing among them."""

    rules: tuple[RuleCount, ...] = ()
    """In the order of `Rule`; only rules that decided about a session."""
    sighted: int = 0
    """Sessions without a live owner that are kept until another sighting."""
    sighting_due_s: float = SIGHTINGS_APART_S
    """In how long the first of these can be seen again, so that it is orphaned; seconds."""
    owners_failure: str | None = None
    """Why the owners are unknown, although a source of them is configured."""
    has_time: bool = True
    """Whether the answer told the server's time. Without it no rule about time stops anything."""

    @property
    def listed(self) -> int:
        return sum(each.listed for each in self.rules)

    @property
    def to_stop(self) -> int:
        """The listed sessions that a rule asks to stop, also those that the queue knows already."""
        return sum(each.listed for each in self.rules if each.rule in REAPING)

    @property
    def chosen(self) -> int:
        return sum(each.chosen for each in self.rules)


def count_findings(
    judged: Iterable[Judged],
    *,
    outcomes: Mapping[SessionId, Outcome | None],
    known: Collection[SessionId],
    owners: Owners,
    owners_failure: str | None,
    sightings: Sightings,
    server_now: float | None,
) -> Findings:
    """Count a reading.

    Args:
        judged: each listed session with its judgement.
        outcomes: of the sessions in the queue; None: open.
        known: those of them that a sweep does not choose.
        owners: as the sessions were judged by.
        owners_failure: why the owners are unknown, though there is a source of them.
        sightings: of the readings before, as the sessions were judged by.
        server_now: the time in the `Date` of the list's answer, Unix seconds; None when it has none.
    """
    listed: Counter[Rule] = Counter()
    queued: Counter[Rule] = Counter()
    settled: dict[Rule, Counter[Outcome]] = {rule: Counter() for rule in Rule}
    sighted, due_s = 0, SIGHTINGS_APART_S
    for each in judged:
        rule, session_id = each.verdict.rule, each.session.session_id
        listed[rule] += 1
        if session_id in known:
            outcome = outcomes.get(session_id)
            if outcome is None:
                queued[rule] += 1
            else:
                settled[rule][outcome] += 1
        elif rule is Rule.LIVE and orphaned(each.session, owners):
            sighted += 1
            if server_now is not None:
                since = min(sightings.first.get(session_id, server_now), server_now)
                due_s = min(due_s, since + SIGHTINGS_APART_S - server_now)
    return Findings(
        tuple(RuleCount(rule, listed[rule], queued[rule], settled[rule]) for rule in Rule if listed[rule]),
        sighted,
        max(0.0, due_s),
        owners_failure,
        server_now is not None,
    )
