"""How long reaper's tasks rest between two looks: longer where a plan has nothing happen, which makes an hour cheap."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from reaper.app import daemon
from reaper.intake.poller import Intake
from reaper.worker import list_reads, settler, supervisor, unconfirmed, worker
from tests.support.simulation.plan import Plan
from tests.support.simulation.virtual_time import CLOCK
from tests.support.simulation.world import World

RESTS: tuple[tuple[Any, str, float], ...] = (
    (supervisor, "MAINTENANCE_S", 20.0), (settler, "CHECK_S", 20.0), (daemon, "MAX_IDLE_S", 20.0),
    (daemon, "INPUTS_S", 20.0),
    (unconfirmed, "TICK_S", 20.0), (list_reads, "TICK_S", 20.0), (worker, "TICK_S", 20.0),
)  # fmt: skip
"""What a plan's `pace` makes longer, and how long each is in quiet times."""
TICK_S = 10.0
"""The supervisor's in quiet times, whatever the pace: it reads the token file, and writes heartbeats, which
are late after 12 s."""
POLL_S = 20.0
"""Between two rounds of the intake in quiet times."""
ONCE_EVERY_S, SELDOM_S = 60.0, 300.0
"""When a timer begins the next run, and when it does so in quiet times."""
SETTLES_S = 700.0
"""So long after the last fault everything that is due must be settled: back-off, trials, leases, and some rest."""
NEVER_S = 1e9
BEFORE_S = 25.0
"""So long before something happens each rest that began in a quiet time is over."""
BEGINS_S, ENDS_S = 45.0, 20.0
"""How long after it begins, and after it ends, a fault may have consequences at once."""


def busy(plan: Plan) -> list[tuple[float, float]]:
    """Return the times in which something happens, in order."""
    length_s = plan.hours * 3600
    moments = [(0.0, BEGINS_S), (length_s, BEGINS_S)]
    moments += [(fault.at_s, BEGINS_S) for fault in plan.faults]
    moments += [(fault.end_s, ENDS_S) for fault in plan.faults if fault.for_s and fault.end_s < length_s]
    moments += [(at_s, BEGINS_S) for at_s in plan.bursts_s]
    return list(_joined((max(0.0, at_s - BEFORE_S), at_s + for_s) for at_s, for_s in moments))


def _joined(spans: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """Return spans as disjoint ones, in order."""
    open_s: tuple[float, float] | None = None
    for begin_s, end_s in sorted(spans):
        if open_s is not None and begin_s <= open_s[1] + BEFORE_S:
            open_s = open_s[0], max(open_s[1], end_s)
        else:
            if open_s is not None:
                yield open_s
            open_s = begin_s, end_s
    if open_s is not None:
        yield open_s


class Rests:
    """Sets how long each task rests, at the beginning and the end of each quiet time."""

    def __init__(self, world: World) -> None:
        self._world, self._plan = world, world.plan
        self._usual = {(module, name): getattr(module, name) for module, name, _ in RESTS}
        self._tick_s = supervisor.TICK_S
        self.is_quiet = False
        self._expected_s = NEVER_S
        rests = self

        class _PollInterval:
            """`Intake.poll_s`, which is longer in quiet times."""

            def __get__(self, intake: Any, _: type) -> float:
                return max(POLL_S, intake.usual_poll_s) if rests.is_quiet else float(intake.usual_poll_s)

            def __set__(self, intake: Any, value: float) -> None:
                intake.usual_poll_s = value

        Intake.poll_s = _PollInterval()  # type: ignore[assignment]
        spans = busy(self._plan) if self._plan.rests else []
        for (_, quiet_s), (busy_s, _) in pairwise([*spans, (NEVER_S, 0.0)]):
            world.loop.call_later(quiet_s, self._set, True, busy_s)
            if busy_s < NEVER_S:
                world.loop.call_later(busy_s, self._set, False, 0.0)
        self._set(False, 0.0)

    @property
    def once_every_s(self) -> float:
        """In how long the timer begins the next run."""
        if not self.is_quiet:
            return ONCE_EVERY_S
        return max(ONCE_EVERY_S, min(SELDOM_S, min(self._busy_at_s, self._expected_s) - CLOCK.elapsed_s))

    def expect(self, at_s: float) -> None:
        """Be over with quiet times when something happens that no plan names; before the last of the plan's is over."""
        self._expected_s = at_s - BEFORE_S
        if self._plan.rests:
            self._world.loop.call_later(self._expected_s - CLOCK.elapsed_s, self._set, False, 0.0)

    def _set(self, is_quiet: bool, until_s: float) -> None:
        self.is_quiet, self._busy_at_s = is_quiet, until_s
        for module, name, quiet_s in RESTS:
            usual_s = self._usual[module, name] * self._plan.pace
            setattr(module, name, max(usual_s, quiet_s) if is_quiet else usual_s)
        supervisor.TICK_S = TICK_S if is_quiet else self._tick_s
