"""The limiter: what holds in every order of answers, and what it makes of a server in virtual time.

The queues of the simulated servers hold at least 0.3 of what is under way at full load. The shorter a queue, the more a
cut to 0.7 leaves idle; without one, the sawtooth between 0.7 and 1 is all there is.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.core.adaptive_limit import AdaptiveLimit, is_overload
from reaper.core.classify import Broken, Final, Foreign, ServerFault, Throttled, Verdict
from reaper.core.model import Fault, Outcome
from tests.support.limiter_simulation import Alone, Loop, Reaper, Server, one

VERDICTS: list[Verdict] = [
    Final(Outcome.STOPPED),
    Final(Outcome.ALREADY_GONE),
    ServerFault(503),
    Throttled(None),
    Broken(Fault.TIMEOUT),
    Broken(Fault.RESET),
    Foreign(302),
]
Step = tuple[str, int]
BOUNDS = st.one_of(st.integers(1, 3), st.integers(1, 64))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(1, 40)),
        st.tuples(st.sampled_from(["oldest", "newest"]), st.integers(0, len(VERDICTS) - 1)),
        st.tuples(st.just("flood"), st.integers(0, len(VERDICTS) - 1)),
        st.tuples(st.just("bound"), BOUNDS),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(bound=BOUNDS, steps=STEPS)
def test_it_stays_within_its_bounds_and_cuts_once_per_window(bound: int, steps: list[Step]) -> None:
    limiter, now = AdaptiveLimit(bound), 0.0
    flying: list[float] = []
    window: int | None = None
    """Answers that may still come before the next cut; None before the first cut."""
    cut_at = 0.0

    def answer(newest: bool, verdict: Verdict) -> None:
        nonlocal now, window, cut_at
        if not flying:
            return
        now += 1
        began = flying.pop(-1 if newest else 0)
        before = limiter.limit
        limiter.observe(now, verdict, began=began, in_flight=len(flying) + 1)
        after = limiter.limit
        overload = is_overload(verdict)
        if after < before:
            assert overload
            assert after == max(1, before * 7 // 10)
            assert began > cut_at
            assert not window
            window, cut_at = after, now
        elif overload is not None and window is not None and began > cut_at:
            # The window has passed: an overload has to cut.
            assert window > 0 or not overload or before == 1
            if overload and window == 0:
                window, cut_at = before, now
            else:
                window = max(0, window - 1)
        assert after <= before or (overload is False and after <= (before * 2 if window is None else before + 1))

    for what, number in steps:
        if what == "start":
            for _ in range(min(number, limiter.limit - len(flying))):
                now += 1
                flying.append(now)
        elif what == "bound":
            limiter.reconfigure(number, adaptive=True)
        elif what == "flood":
            for _ in range(len(flying)):
                answer(False, VERDICTS[number])
        else:
            answer(what == "newest", VERDICTS[number])
        assert 1 <= limiter.limit <= limiter.bound


@settings(max_examples=200, deadline=None)
@given(bound=st.integers(1, 1000), most=st.integers(1, 100), count=st.integers(0, 5000))
def test_without_overload_it_is_at_most_twice_what_was_in_flight(bound: int, most: int, count: int) -> None:
    limiter = AdaptiveLimit(bound)
    for number in range(count):
        in_flight = min(most, limiter.limit)
        limiter.observe(number + 1.0, Final(Outcome.STOPPED), began=number + 0.5, in_flight=in_flight)
    assert limiter.limit <= max(min(8, bound), 4 * most)


# capacity per s, latency of the way, workers, queue
TABLE = [(100, 0.05, 1, 5), (100, 0.2, 1, 6), (300, 0.1, 1, 30), (300, 0.02, 60, 20), (1000, 0.2, 1, 60)]
SERVERS = [pytest.param(*server, id="-".join(map(str, server))) for server in TABLE]
NAMES = ("per_s", "latency_s", "workers", "queue")


@pytest.mark.parametrize("refusal", [ServerFault(503), Throttled(1.0)], ids=["503", "429"])
@pytest.mark.parametrize(NAMES, SERVERS)
def test_it_converges_to_the_capacity(
    per_s: float, latency_s: float, workers: int, queue: int, refusal: Verdict
) -> None:
    reaper = one(per_s=per_s, latency_s=latency_s, workers=workers, queue=queue, refusal=refusal)
    reaper.loop.run(40)
    assert reaper.rate(20, 40) >= 0.85 * per_s
    assert len(reaper.others) <= 0.04 * len(reaper.stopped)
    assert reaper.cuts(0, 40) > 0


def test_it_converges_where_only_timeouts_show_the_overload() -> None:
    reaper = one(per_s=100, latency_s=0.1, timeout_s=2.0)
    reaper.loop.run(60)
    assert reaper.rate(30, 60) >= 0.85 * 100
    assert reaper.cuts(0, 60) > 0


@pytest.mark.parametrize(NAMES, SERVERS)
def test_it_recovers_within_a_minute_from_thirty_seconds_at_a_fifth(
    per_s: float, latency_s: float, workers: int, queue: int
) -> None:
    reaper = one(per_s=per_s, latency_s=latency_s, workers=workers, queue=queue)
    server, loop = reaper.server, reaper.loop
    loop.after(20, lambda: setattr(server, "per_s", per_s / 5))
    loop.after(50, lambda: setattr(server, "per_s", per_s))
    loop.run(115)
    assert 0.85 * per_s / 5 <= reaper.rate(30, 50) <= 1.01 * per_s / 5
    assert reaper.rate(105, 115) >= 0.9 * reaper.rate(10, 20)


@pytest.mark.parametrize(NAMES, SERVERS)
def test_two_reapers_share_a_server(per_s: float, latency_s: float, workers: int, queue: int) -> None:
    loop = Loop(seed=1)
    server = Server(loop, per_s, latency_s, queue=queue, workers=workers)
    first = Reaper(loop, server, Alone(AdaptiveLimit(256))).begin()
    second = Reaper(loop, server, Alone(AdaptiveLimit(256))).begin(10.0)
    loop.run(80)
    rates = [first.rate(30, 80), second.rate(30, 80)]
    assert min(rates) >= 0.7 * per_s / 2
    assert max(rates) <= 1.3 * per_s / 2


def test_a_hiccup_whose_timeouts_come_in_late_costs_one_cut() -> None:
    reaper = one(per_s=3000, latency_s=0.1, timeout_s=4.0)
    server, loop = reaper.server, reaper.loop
    loop.after(3, lambda: setattr(server, "hanging", 0.02))
    loop.after(4, lambda: setattr(server, "hanging", 0.0))
    loop.run(12)
    assert len(reaper.others) >= 20
    assert reaper.others[-1] - reaper.others[0] >= 0.5
    assert reaper.cuts(0, 12) == 1


def test_a_healthy_server_is_used_in_full_within_half_a_second() -> None:
    reaper = one(per_s=100_000, latency_s=0.05)
    reaper.loop.run(1)
    assert [limit for _, limit in reaper.limits] == [8, 16, 32, 64, 128, 256]
    assert reaper.first(256) <= 0.5


def test_the_same_seed_makes_the_same_run() -> None:
    runs = []
    for seed in (1, 1, 2):
        reaper = one(seed, per_s=300, latency_s=0.1, queue=30)
        reaper.loop.run(10)
        runs.append(reaper.stopped)
    assert runs[0] == runs[1] != runs[2]
    assert all(before <= after for before, after in pairwise(runs[0]))
