"""docs/concepts.md: which answers are the API's own, and the meaning of each answer."""

import pytest

from reaper.core.classify import (
    MAX_RETRY_AFTER_S,
    Broken,
    Final,
    Foreign,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    Verdict,
    classify,
    classify_read,
    is_own,
    retry_after_s,
)
from reaper.core.model import Answered, Failed, Fault, Outcome

OWN = b'{"error": "no"}'
HTML = b"<html><h1>Sign in</h1></html>"
STOPPED = Final(Outcome.STOPPED)
GONE = Final(Outcome.ALREADY_GONE)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def answered(status: int, body: bytes = b"", **more: object) -> Answered:
    return Answered(status, body, 0.1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (204, b"", STOPPED),
        (204, HTML, STOPPED),
        (200, b"", STOPPED),
        (200, b" \r\n", STOPPED),
        (200, b"{}", STOPPED),
        (200, b"null", STOPPED),
        (200, b"false", STOPPED),
        (202, b'"accepted"', STOPPED),
        (299, b"[]", STOPPED),
        (200, HTML, Foreign(200)),
        (201, b'{"cut', Foreign(201)),
        (200, b"[" * 60_000, Foreign(200)),
        (200, b"\xff\xfe\xfd", Foreign(200)),
        (300, b"", Foreign(300)),
        (301, OWN, Foreign(301)),
        (302, b"", Foreign(302)),
        (304, b"", Foreign(304)),
        (399, OWN, Foreign(399)),
        (404, OWN, GONE),
        (410, OWN, GONE),
        (404, b"", Foreign(404)),
        (404, b"null", Foreign(404)),
        (404, b'["error"]', Foreign(404)),
        (404, b'{"status": "gone"}', Foreign(404)),
        (404, b'{"error": {"code": 1}}', Foreign(404)),
        (410, HTML, Foreign(410)),
        (403, OWN, Final(Outcome.FORBIDDEN, "no")),
        (403, HTML, Foreign(403)),
        (400, OWN, Final(Outcome.REJECTED, "no")),
        (422, b'{"error": 1, "detail": "x"}', Final(Outcome.REJECTED, "x")),
        (426, OWN, Final(Outcome.REJECTED, "no")),
        (499, HTML, Foreign(499)),
        (407, b"", Foreign(407)),
        (407, OWN, Foreign(407)),
        (401, HTML, Unauthorized(7)),
        (401, OWN, Unauthorized(7, own=True)),
        (429, HTML, Throttled(None)),
        (429, OWN, Throttled(None, own=True)),
        (408, b"", ServerFault(408)),
        (408, OWN, ServerFault(408, own=True)),
        (425, HTML, ServerFault(425)),
        (500, OWN, ServerFault(500)),
        (501, b"", ServerFault(501)),
        (502, b"", ServerFault(502)),
        (503, b"", ServerFault(503)),
        (504, HTML, ServerFault(504)),
        (599, b"", ServerFault(599)),
        (101, b"", Foreign(101)),
        (600, b"", Foreign(600)),
    ],
)
def test_each_answer_means_what_the_table_says(status: int, body: bytes, verdict: Verdict) -> None:
    assert classify(answered(status, body, token_generation=7)) == verdict


@pytest.mark.parametrize("key", ["error", "code", "message", "detail"])
def test_each_key_of_the_envelope_makes_an_answer_own(key: str) -> None:
    assert classify(answered(404, f'{{"{key}": "x", "other": 1}}'.encode())) == GONE
    assert classify(answered(404, f'{{"{key}": 1}}'.encode())) == Foreign(404)


@pytest.mark.parametrize("fault", [f for f in Fault if f not in (Fault.NO_TOKEN, Fault.PROXY)])
def test_a_failure_is_broken_if_a_byte_was_written_and_unsent_otherwise(fault: Fault) -> None:
    assert classify(Failed(fault, True, "", 1.0)) == Broken(fault)
    assert classify(Failed(fault, False, "", 1.0)) == Unsent(fault)


@pytest.mark.parametrize("status", [302, 401, 403, 404, 407, 408, 425, 429])
def test_a_proxys_refusal_of_a_tunnel_is_foreign_whatever_its_status(status: int) -> None:
    reply = Failed(Fault.PROXY, False, "the proxy answered", 0.0, status=status)
    assert classify(reply) == classify_read(reply) == Foreign(status, unsent=True)


@pytest.mark.parametrize("status", [200, 404, 403, 400])
def test_a_body_that_cannot_be_decoded_is_foreign_and_named(status: int) -> None:
    reply = Answered(status, b"", 0.0, undecoded="br")
    for verdict in (classify(reply), classify_read(reply)):
        assert verdict == Foreign(status)
        assert isinstance(verdict, Foreign)
        assert "br" in verdict.shown


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (429, Throttled), (503, ServerFault), (204, Final)])
def test_a_status_that_says_all_needs_no_body(status: int, kind: type) -> None:
    assert isinstance(classify(Answered(status, b"\x1f", 0.0, undecoded="br")), kind)


def test_no_token_counts_as_refused_whatever_the_generation() -> None:
    assert classify(Failed(Fault.NO_TOKEN, False, "", 0.0)) == Unauthorized(None)
    assert classify_read(Failed(Fault.NO_TOKEN, False, "", 0.0)) == Unauthorized(None)


@pytest.mark.parametrize(
    ("verdict", "own"),
    [
        (STOPPED, True),
        (Unauthorized(1, own=True), True),
        (Unauthorized(1), False),
        (Throttled(1.0, own=True), True),
        (Throttled(1.0), False),
        (ServerFault(408, own=True), True),
        (ServerFault(502), False),
        (Foreign(404), False),
        (Broken(Fault.RESET), False),
        (Unsent(Fault.DNS), False),
    ],
)
def test_which_verdicts_are_the_apis_own(verdict: Verdict, own: bool) -> None:
    assert is_own(verdict) is own


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b'{"sessions": []}', Proven(7)),
        (200, b'{"sessions": [{"sessionId": "a"}], "more": 1}', Proven(7)),
        (200, b'{"sessions": {}}', Foreign(200)),
        (200, b"[]", Foreign(200)),
        (200, b"", Foreign(200)),
        (200, HTML, Foreign(200)),
        (201, b'{"sessions": []}', Foreign(201)),
        (204, b"", Foreign(204)),
        (302, b"", Foreign(302)),
        (401, OWN, Unauthorized(7, own=True)),
        (403, OWN, Foreign(403)),
        (404, OWN, Foreign(404)),
        (407, b"", Foreign(407)),
        (429, b"", Throttled(None)),
        (500, b"", ServerFault(500)),
        (502, b'{"sessions": []}', ServerFault(502)),
    ],
)
def test_only_a_200_with_a_sessions_array_proves_identity(status: int, body: bytes, verdict: ReadVerdict) -> None:
    assert classify_read(answered(status, body, token_generation=7)) == verdict


def test_a_read_without_an_answer() -> None:
    assert classify_read(Failed(Fault.TIMEOUT, True, "", 1.0)) == Broken(Fault.TIMEOUT)
    assert classify_read(Failed(Fault.DNS, False, "", 1.0)) == Unsent(Fault.DNS)


@pytest.mark.parametrize(
    ("value", "date", "wait_s"),
    [
        (None, None, None),
        ("", DATE, None),
        ("0", None, 0.0),
        ("7", None, 7.0),
        (" 7\t", None, 7.0),
        ("0000000005", None, 5.0),
        ("86400", None, 86_400.0),
        ("86401", None, MAX_RETRY_AFTER_S),
        ("9" * 5_000, None, MAX_RETRY_AFTER_S),
        ("-5", DATE, None),
        ("+5", DATE, None),
        ("1.5", DATE, None),
        ("5, 10", DATE, None),
        ("1e3", DATE, None),
        ("inf", DATE, None),
        ("0x10", DATE, None),
        ("٥", DATE, None),
        ("²", DATE, None),
        ("soon", DATE, None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", DATE, 30.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", DATE, 30.0),
        ("Sun Nov  6 08:50:07 1994", DATE, 30.0),
        ("Sun, 06 Nov 1994 08:50:07 -0000", DATE, 30.0),
        ("Sun, 06 Nov 1994 09:50:07 +0100", DATE, 30.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", "Sun Nov  6 08:49:37 1994", 30.0),
        (DATE, DATE, 0.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", DATE, 0.0),
        ("Sun, 06 Nov 2094 08:49:37 GMT", DATE, MAX_RETRY_AFTER_S),
        ("Sun, 30 Feb 1994 08:49:37 GMT", DATE, None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", "yesterday", None),
    ],
)
def test_retry_after_in_every_form(value: str | None, date: str | None, wait_s: float | None) -> None:
    assert retry_after_s(answered(429, retry_after=value, date=date)) == wait_s
    assert classify(answered(429, retry_after=value, date=date)) == Throttled(wait_s)
    assert classify(answered(503, retry_after=value, date=date)) == ServerFault(503, wait_s or 0.0)


def test_retry_after_binds_only_a_503_and_a_429() -> None:
    assert classify(answered(502, retry_after="30")) == ServerFault(502, 0.0)
    assert classify(answered(408, retry_after="30")) == ServerFault(408, 0.0)


def test_by_default_no_verdict_is_the_apis_own_or_asks_for_a_delay() -> None:
    assert not any(is_own(verdict) for verdict in (Unauthorized(None), Throttled(None), ServerFault(408)))
    assert ServerFault(503).after_s == 0.0
