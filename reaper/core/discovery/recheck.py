"""The preflight check of a session just before its DELETE (docs/discovery.md): people renew sessions late. Pure."""

from __future__ import annotations

from collections.abc import Callable

from reaper.core.classify import Final, classify, foreign
from reaper.core.discovery.listing import SessionSummary, parse_session
from reaper.core.discovery.policy import Action, Judgement, Rule
from reaper.core.discovery.protection import Protection
from reaper.core.model import Answered, Outcome, Reply, SessionId
from reaper.core.preflight import RENEWED, Inconclusive, Proceed, Recheck, Skip


def recheck(reply: Reply, session_id: SessionId, judge: Callable[[SessionSummary, Answered], Judgement]) -> Recheck:
    """Return the result of the reply to `GET /api/sessions/{id}`.

    `judge` is the policy with the present owners, sightings and settings, applied to the session and the answer, which
    has its own `Date`. The rule that reaps may be another one than in the sweep.
    """
    if isinstance(reply, Answered) and 200 <= reply.status < 300:
        session = parse_session(reply.body, session_id)
        if not isinstance(session, SessionSummary):
            # `classify` would take a 2xx for a stop: a read stops nothing.
            return Inconclusive(foreign(reply), reply)
        judgement = judge(session, reply)
        if judgement.action is Action.REAP or judgement.rule is Rule.ENDED:
            return Proceed(judgement.reason)
        detail = judgement.reason if judgement.rule is Rule.PROTECTED else RENEWED
        return Skip(detail, judgement.reason)
    verdict = classify(reply)
    if isinstance(verdict, Final) and verdict.outcome is Outcome.ALREADY_GONE:
        return Proceed("it is gone already")
    return Inconclusive(verdict, reply)


def recheck_protection(reply: Reply, session_id: SessionId, protection: Protection) -> Recheck:
    """Return the result for a session that somebody named: only protection can spare it."""

    def unless_protected(session: SessionSummary, _: Answered) -> Judgement:
        why = protection.of(session)
        return Judgement(Rule.PROTECTED, why) if why else Judgement(Rule.EXPIRED, "it was named")

    return recheck(reply, session_id, unless_protected)
