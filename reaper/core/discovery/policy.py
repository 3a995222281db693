"""The policy: the sessions to stop, and the reasons (docs/discovery.md). Pure: the server's time is an argument.

A session that is not wholly understood is kept. Protection is checked first, so that no rule can win over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.sightings import Owners, Sightings, orphaned
from reaper.core.text import format_duration, sanitize

MAX_LIFE_S = 86_400.0
"""The longest life of a session, seconds (`ttlSeconds` of the API); the API has forgotten one that lives longer."""
STARTING_S = 900.0
"""The time that a session may be starting before any rule applies to it, seconds (docs/discovery.md)."""
SIGHTINGS_APART_S = 60.0
"""The least time between two sightings of an orphan, seconds: a list of owners may be written anew between them."""


class Rule(StrEnum):
    """The rule that decided about a session."""

    EXPIRED = "expired"
    OVERDUE = "overdue"
    FAILED = "failed"
    ORPHANED = "orphaned"

    PROTECTED = "protected"
    UNCLEAR = "unclear"
    """A field is missing, cannot be read, or contradicts the server's clock."""
    STARTING = "starting"
    ENDED = "ended"
    LIVE = "live"
    """No rule asks for its end."""


REAPING = frozenset({Rule.EXPIRED, Rule.OVERDUE, Rule.FAILED, Rule.ORPHANED})


class Action(StrEnum):
    """The two consequences of a judgement."""

    KEEP = "keep"
    REAP = "reap"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of one session; `reason` is a printable phrase without its ID."""

    rule: Rule
    reason: str

    @property
    def action(self) -> Action:
        return Action.REAP if self.rule in REAPING else Action.KEEP


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """`discovery.grace_s`: the seconds after its expiry, or after 24 h of life, in which a session is kept."""

    grace_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A session and its judgement."""

    session: SessionSummary
    verdict: Judgement


def judge(
    session: SessionSummary,
    *,
    server_now: float | None,
    sightings: Sightings,
    owners: Owners,
    rules: PolicyOptions,
    protection: Protection,
) -> Judgement:
    """Return whether to stop a session, and why.

    Args:
        session: as read from the list, or again just before its DELETE.
        server_now: the time in the `Date` of the same answer, Unix seconds; None when it has none: then no rule by time
            reaps.
        sightings: of earlier readings; this reading may be among them.
        owners: the batch IDs that are alive; None or empty: all are.
        rules: `discovery.grace_s`.
        protection: `protect.*`.
    """
    if why := protection.of(session):
        return Judgement(Rule.PROTECTED, why)
    if session.status == "ended":
        return Judgement(Rule.ENDED, "it has ended already")
    status, created_at, expires_at = session.status, session.created_at, session.expires_at
    if status is None or created_at is None or expires_at is None or session.clone_ids is None or session.odd:
        return Judgement(Rule.UNCLEAR, _unclear(session))
    if expires_at + MAX_LIFE_S < created_at:  # as where a program writes "no time" as 1970
        return Judgement(Rule.UNCLEAR, "expiresAt is more than a day before createdAt")
    if server_now is not None and created_at > server_now:
        ahead = format_duration(created_at - server_now)
        return Judgement(Rule.UNCLEAR, f"createdAt is {ahead} ahead of the server's own clock")
    if status == "starting" and (server_now is None or server_now - created_at < STARTING_S):
        age = "a time that is not known" if server_now is None else format_duration(server_now - created_at)
        limit = format_duration(STARTING_S)
        return Judgement(Rule.STARTING, f"it has been starting for {age}, and has {limit} for that")
    if server_now is not None and expires_at + rules.grace_s < server_now:
        return Judgement(Rule.EXPIRED, f"it expired {format_duration(server_now - expires_at)} ago")
    if server_now is not None and created_at + MAX_LIFE_S + rules.grace_s < server_now:
        age = format_duration(server_now - created_at)
        return Judgement(Rule.OVERDUE, f"it is {age} old, and none may live longer than 24 h")
    if status == "failed":
        return Judgement(Rule.FAILED, "its status is failed")
    if orphaned(session, owners):
        return _orphan(session, sightings, server_now)
    return Judgement(Rule.LIVE, _live(expires_at, server_now))


def _unclear(session: SessionSummary) -> str:
    needed = {
        "status": session.status,
        "createdAt": session.created_at,
        "expiresAt": session.expires_at,
        "cloneIds": session.clone_ids,
    }
    missing = [f"{name} is missing" for name, value in needed.items() if value is None and name not in session.odd]
    return ", ".join([*missing, *(f"{name} cannot be read" for name in session.odd)])


def _orphan(session: SessionSummary, sightings: Sightings, server_now: float | None) -> Judgement:
    batch = f"its batch {sanitize(session.batch_id or '')} is not among the owners"
    first_at = sightings.first.get(session.session_id)
    if server_now is None or first_at is None or server_now - first_at < SIGHTINGS_APART_S:
        apart = format_duration(SIGHTINGS_APART_S)
        return Judgement(Rule.LIVE, f"{batch}; one more sighting at least {apart} later is needed")
    return Judgement(Rule.ORPHANED, f"{batch}, for {format_duration(server_now - first_at)}")


def _live(expires_at: float, server_now: float | None) -> str:
    if server_now is None:
        return "the server's time is not known"
    if expires_at >= server_now:
        return f"it expires in {format_duration(expires_at - server_now)}"
    return f"it expired {format_duration(server_now - expires_at)} ago, within the grace"
