"""The preflight check: renewed sessions are skipped, gone ones proceed, and a read never settles as a stop."""

import json

import pytest

from reaper.core.classify import Broken, Final, Foreign, ServerFault, Throttled, Unauthorized, Unsent
from reaper.core.classify import Verdict as Answer
from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.policy import Judgement, Rule
from reaper.core.discovery.recheck import recheck
from reaper.core.model import Answered, Failed, Fault, Outcome, Release, Reply, SessionId, Settle
from reaper.core.preflight import Inconclusive, Proceed, Recheck, Skip, decision_without_send

ID = SessionId("ses-1")
OWN = b'{"error": "x"}'


def answered(status: int, body: bytes = OWN) -> Answered:
    return Answered(status, body, 0.1)


def checked(reply: Reply, rule: Rule = Rule.EXPIRED) -> Recheck:
    def judge(session: SessionSummary, answer: Answered) -> Judgement:
        assert (session.session_id, answer) == (ID, reply)
        return Judgement(rule, "why")

    return recheck(reply, ID, judge)


FOUND = answered(200, json.dumps({"sessionId": "ses-1"}).encode())


@pytest.mark.parametrize("rule", [Rule.EXPIRED, Rule.OVERDUE, Rule.FAILED, Rule.ORPHANED, Rule.ENDED])
def test_a_session_that_still_qualifies_or_has_ended_proceeds(rule: Rule) -> None:
    assert checked(FOUND, rule) == Proceed("why")


@pytest.mark.parametrize("rule", [Rule.LIVE, Rule.STARTING, Rule.UNCLEAR])
def test_a_session_that_no_longer_qualifies_is_skipped(rule: Rule) -> None:
    assert checked(FOUND, rule) == Skip("renewed", "why")


def test_a_session_that_is_protected_by_now_is_skipped_with_the_reason() -> None:
    assert checked(FOUND, Rule.PROTECTED) == Skip("why", "why")


@pytest.mark.parametrize("status", [404, 410])
def test_a_session_that_is_gone_proceeds_so_that_the_delete_proves_it(status: int) -> None:
    assert isinstance(checked(answered(status)), Proceed)


UNSURE: list[tuple[Reply, Answer]] = [
    (answered(200, b"<html>"), Foreign(200)),
    (answered(200, b""), Foreign(200)),
    (answered(200, b"{}"), Foreign(200)),
    (answered(200, b'{"sessionId": "ses-2"}'), Foreign(200)),
    (answered(204, b""), Foreign(204)),
    (answered(202, b"{}"), Foreign(202)),
    (answered(300, b'{"sessionId": "ses-1"}'), Foreign(300)),
    (answered(302), Foreign(302)),
    (answered(404, b"<html>"), Foreign(404)),
    (answered(401), Unauthorized(0, own=True)),
    (answered(403), Final(Outcome.FORBIDDEN, "x", 403)),
    (answered(429), Throttled(None, own=True)),
    (answered(502, b""), ServerFault(502)),
    (Failed(Fault.TIMEOUT, True, "", 20.0), Broken(Fault.TIMEOUT)),
    (Failed(Fault.CONNECT, False, "", 5.0), Unsent(Fault.CONNECT)),
]


@pytest.mark.parametrize(("reply", "verdict"), UNSURE)
def test_any_other_answer_is_inconclusive(reply: Reply, verdict: Answer) -> None:
    assert checked(reply) == Inconclusive(verdict, reply)


def test_the_decision_when_nothing_is_sent() -> None:
    assert decision_without_send(Skip("renewed", "why")) == Settle(Outcome.PROTECTED, "renewed")
    assert decision_without_send(None) == decision_without_send(Proceed("why")) == Release(0.0)


def test_an_answer_that_cannot_be_decoded_is_named() -> None:
    found = checked(Answered(200, b"\x1b", 0.1, undecoded="br"))
    assert isinstance(found, Inconclusive)
    assert isinstance(found.verdict, Foreign)
    assert found.verdict.shown == "200 with a Content-Encoding that cannot be decoded: br"
