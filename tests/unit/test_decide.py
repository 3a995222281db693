"""The decision about an ID: charged exactly when docs/concepts.md says so, with its backoff, exhausted when it says."""

from dataclasses import replace

import pytest

from reaper.core.classify import Broken, Final, Foreign, ServerFault, Throttled, Unauthorized, Unsent, Verdict
from reaper.core.decide import MAX_UNANSWERED, RetryPolicy, decide, give_up
from reaper.core.model import Decision, Fault, Lease, Outcome, Release, Retry, SessionId, Settle

POLICY = RetryPolicy(max_attempts=16, base_s=1.0, cap_s=600.0)
LEASE = Lease(
    session_id=SessionId("ses-1"),
    receipt="r",
    round=1,
    attempts=0,
    sends=1,
    unanswered=0,
    ambiguous=False,
    others_final=False,
    source="test",
    expires_at=120.0,
    due_at=0.0,
)
ALWAYS_CHARGED: list[Verdict] = [ServerFault(502), ServerFault(408), Broken(Fault.TIMEOUT), Broken(Fault.MALFORMED)]
CHARGED_IF_OTHERS_FINAL: list[Verdict] = [Unauthorized(0), Unauthorized(3, own=True), Foreign(404), Foreign(407)]
NEVER_CHARGED: list[Verdict] = [Throttled(5.0), Throttled(None), Unsent(Fault.DNS), Unauthorized(None)]


def decided(
    verdict: Verdict, *, jitter: float = 0.5, others_final: bool = False, outage: bool = False, **lease: int | bool
) -> Decision:
    changed = replace(LEASE, **lease)  # type: ignore[arg-type]
    return decide(verdict, changed, POLICY, jitter=jitter, others_final=others_final, outage=outage)


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.ALREADY_GONE, Outcome.FORBIDDEN, Outcome.REJECTED])
@pytest.mark.parametrize("attempts", [0, 15, 99])
def test_a_final_answer_settles_however_often_it_was_tried(outcome: Outcome, attempts: int) -> None:
    assert decided(Final(outcome, "why"), attempts=attempts) == Settle(outcome, "why")


def test_gone_after_an_ambiguous_attempt_says_so_and_nothing_else_does() -> None:
    assert decided(Final(Outcome.ALREADY_GONE), ambiguous=True) == Settle(Outcome.ALREADY_GONE, "after_ambiguous")
    assert decided(Final(Outcome.ALREADY_GONE)) == Settle(Outcome.ALREADY_GONE, None)
    assert decided(Final(Outcome.STOPPED), ambiguous=True) == Settle(Outcome.STOPPED, None)
    assert decided(Final(Outcome.REJECTED, "x"), ambiguous=True) == Settle(Outcome.REJECTED, "x")


@pytest.mark.parametrize("others_final", [False, True])
@pytest.mark.parametrize("verdict", ALWAYS_CHARGED)
def test_faults_of_the_server_and_broken_sends_are_charged(verdict: Verdict, others_final: bool) -> None:
    broken = isinstance(verdict, Broken)
    assert decided(verdict, others_final=others_final) == Retry(0.5, ambiguous=broken)
    assert isinstance(decided(verdict, others_final=others_final, attempts=14), Retry)
    end = decided(verdict, others_final=others_final, attempts=15)
    assert isinstance(end, Settle)
    assert (end.outcome, end.charged) == (Outcome.EXHAUSTED, True)


@pytest.mark.parametrize("verdict", CHARGED_IF_OTHERS_FINAL)
def test_refusals_are_charged_only_once_others_got_a_final_answer(verdict: Verdict) -> None:
    assert decided(verdict) == Release(0.5)
    assert isinstance(decided(verdict, attempts=15), Release)
    assert decided(verdict, others_final=True) == Retry(0.5)
    end = decided(verdict, others_final=True, attempts=15)
    assert isinstance(end, Settle)
    assert end.outcome is Outcome.EXHAUSTED


@pytest.mark.parametrize("others_final", [False, True])
@pytest.mark.parametrize("verdict", NEVER_CHARGED)
def test_throttling_and_unsent_requests_are_never_charged(verdict: Verdict, others_final: bool) -> None:
    decision = decided(verdict, others_final=others_final, attempts=15)
    assert isinstance(decision, Release)
    assert decision.ambiguous is False


@pytest.mark.parametrize("verdict", ALWAYS_CHARGED)
def test_a_probe_of_an_api_that_is_down_is_not_charged(verdict: Verdict) -> None:
    assert decided(verdict, outage=True, attempts=15, jitter=0.0) == Release(0.0, ambiguous=isinstance(verdict, Broken))


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (ServerFault(502), "16 attempts, the last: 502"),
        (Broken(Fault.RESET), "16 attempts, the last: reset"),
        (Unauthorized(0), "16 attempts, the last: 401"),
        (Foreign(404), "16 attempts, the last: 404, not the API's own answer"),
    ],
)
def test_exhaustion_names_the_last_fault(verdict: Verdict, words: str) -> None:
    end = decided(verdict, others_final=True, attempts=15)
    assert isinstance(end, Settle)
    assert (end.outcome, end.detail) == (Outcome.EXHAUSTED, words)


def test_one_attempt_means_one() -> None:
    once = replace(POLICY, max_attempts=1)
    decision = decide(ServerFault(500), LEASE, once, jitter=0.5, others_final=False)
    assert decision == Settle(Outcome.EXHAUSTED, "1 attempt, the last: 500", unless_up=Release(0.5))


@pytest.mark.parametrize(
    ("verdict", "instead"),
    [
        (ServerFault(502), Release(300.0)),
        (ServerFault(503, after_s=900.0), Release(900.0)),
        (Broken(Fault.TIMEOUT), Release(300.0, ambiguous=True)),
    ],
)
def test_the_last_attempt_names_what_to_do_unless_the_api_works(verdict: Verdict, instead: Release) -> None:
    end = decided(verdict, attempts=15)
    assert isinstance(end, Settle)
    assert end.unless_up == instead


@pytest.mark.parametrize(
    ("earlier", "bound_s"), [(0, 1.0), (1, 2.0), (5, 32.0), (9, 512.0), (10, 600.0), (10**6, 600.0)]
)
def test_backoff_is_exponential_jittered_from_zero_and_capped(earlier: int, bound_s: float) -> None:
    assert POLICY.backoff_s(earlier, 0.0) == 0.0
    assert POLICY.backoff_s(earlier, 0.25) == bound_s / 4
    assert POLICY.backoff_s(earlier, 1.0) == bound_s
    assert RetryPolicy(16, 3.0, 600.0).backoff_s(1, 1.0) == 6.0


def test_backoff_grows_with_attempts_and_for_foreign_answers_with_sends() -> None:
    assert decided(ServerFault(500), attempts=3, sends=9) == Retry(4.0)
    assert decided(Throttled(900.0), attempts=3, sends=9) == Release(4.0)
    assert decided(Unsent(Fault.DNS), attempts=3, sends=9) == Release(4.0)
    assert decided(Foreign(302), attempts=3, sends=5) == Release(8.0)
    assert decided(Unauthorized(0), attempts=3, sends=9) == Release(4.0)
    assert decided(Foreign(302), attempts=3, sends=5, others_final=True) == Retry(4.0)
    refused = Foreign(403, "of the proxy to CONNECT", unsent=True)
    assert decided(refused, attempts=3, sends=5, others_final=True) == Release(8.0), "no byte was sent for the ID"


@pytest.mark.parametrize("outage", [False, True])
def test_retry_after_of_a_503_is_a_lower_bound_and_no_upper_one(outage: bool) -> None:
    after = [decided(ServerFault(503, 30.0), jitter=j, attempts=10, outage=outage) for j in (0.0, 0.01, 0.5)]
    kind = Release if outage else Retry
    assert after == [kind(30.0), kind(30.0), kind(300.0)]


def test_an_id_is_exhausted_after_25_sends_without_a_recorded_answer() -> None:
    assert MAX_UNANSWERED == 25
    assert give_up(LEASE) is None
    assert give_up(replace(LEASE, unanswered=24, attempts=15, sends=60)) is None
    for unanswered in (25, 26):
        end = give_up(replace(LEASE, unanswered=unanswered))
        assert end == Settle(Outcome.EXHAUSTED, f"{unanswered} sends with no recorded answer")
