"""The last look at a chosen session, just before its DELETE (SPEC 7): people renew sessions late. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from reaper.core.classify import Final, Foreign, Verdict, classify
from reaper.core.discovery.listing import SessionSummary, parse_session
from reaper.core.discovery.policy import Action, Rule
from reaper.core.discovery.policy import Judgement as Judgement
from reaper.core.discovery.protection import Protection
from reaper.core.model import Answered, Outcome, Release, Reply, SessionId, Settle

INCONCLUSIVE_S = 30.0
"""How long an ID waits, about, that could not be looked at."""
UNTOLD = "the API refused to tell of it, so nothing was sent"
RENEWED = "renewed"
"""The detail of an outcome `protected` of a session that no longer qualifies."""


@dataclass(frozen=True, slots=True)
class Proceed:
    """Send the DELETE: the session still qualifies, or is gone, which the DELETE's own answer has to prove."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Settle as `protected` with this detail; nothing is sent."""

    detail: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """Nothing can be said of the session, and nothing is sent: it waits as after a DELETE with this answer."""

    verdict: Verdict


Recheck = Proceed | Skip | Inconclusive


def decision_without_send(seen: Recheck | None, jitter: float) -> Settle | Release:
    """Return what becomes of a lease under which nothing is sent after the look; None: there was no time to look.

    Nothing was sent, so nothing is charged. A session that the API refuses to tell of ends as that: it would wait for
    ever otherwise, and nobody would hear of it.
    """
    match seen:
        case Skip(detail=detail):
            return Settle(Outcome.PROTECTED, detail)
        case Inconclusive(verdict=Final(outcome=outcome, detail=detail)):
            return Settle(outcome, f"{UNTOLD}: {detail}" if detail else UNTOLD)
        case Inconclusive():
            return Release(INCONCLUSIVE_S * (0.5 + jitter))
        case Proceed() | None:
            return Release(0.0)
        case _ as never:
            assert_never(never)


def recheck(reply: Reply, session_id: SessionId, judge: Callable[[SessionSummary, Answered], Judgement]) -> Recheck:
    """Return what follows from the reply to `GET /api/sessions/{id}`.

    `judge` is the policy with the owners, sightings and settings of now; the answer brings its own `Date`. It may
    reap by another rule than the sweep did.
    """
    if isinstance(reply, Answered) and 200 <= reply.status < 300:
        session = parse_session(reply.body, session_id)
        if not isinstance(session, SessionSummary):
            # Never what `classify` makes of a 2xx: nothing was stopped by reading.
            return Inconclusive(Foreign(reply.status))
        judgement = judge(session, reply)
        if judgement.action is Action.REAP or judgement.rule is Rule.ENDED:
            return Proceed(judgement.reason)
        detail = judgement.reason if judgement.rule is Rule.PROTECTED else RENEWED
        return Skip(detail, judgement.reason)
    verdict = classify(reply)
    if isinstance(verdict, Final) and verdict.outcome is Outcome.ALREADY_GONE:
        return Proceed("it is gone already")
    return Inconclusive(verdict)


def recheck_protection(reply: Reply, session_id: SessionId, protection: Protection) -> Recheck:
    """Return the same for a session that somebody named: only protection can spare it."""

    def unless_protected(session: SessionSummary, _: Answered) -> Judgement:
        why = protection.of(session)
        return Judgement(Rule.PROTECTED, why) if why else Judgement(Rule.EXPIRED, "it was named")

    return recheck(reply, session_id, unless_protected)
