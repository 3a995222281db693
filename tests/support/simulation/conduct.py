"""The oracle's rules of how a process behaves: before what it sends nothing, and what it does not give up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.simulation.link import REPEATS_WITHIN_S
from tests.support.simulation.virtual_time import CLOCK

if TYPE_CHECKING:
    from tests.support.simulation.books import Booked
    from tests.support.simulation.loop import Process
    from tests.support.simulation.world import World

HEEDED_WITHIN_S = 60.0
"""A pause that an operator began holds in every process by then, be it one that rests."""
RECORDED_WITHIN_S, MOST_AWAY_S = 30.0, 15.0
"""An answer is in the books by then, where the queue was not away for longer than that: leases last 30 s."""
LATE_S = 0.05
EARLY_S = 2.0
"""A send that began so short a time before has not met its deadline."""
NO_QUEUE = frozenset({"queue_away", "queue_lost_ack", "queue_slow"})
NO_ANSWER = frozenset(
    (
        *("refused", "black_hole", "lost_request", "lost_answer", "half_answer", "drip", "unasked", "closed_idle"),
        *("address_changed", "list_500"),
    )
)
"""Faults by which a send ends at its deadline, or with its connection."""


class Conduct:
    """Judges one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.network.on_given_up = self._judge_giving_up
        world.network.on_late = self._judge_deadline

    def judge_send(self, process: Process, session_id: str) -> None:
        """Judge a DELETE that is none of the client's own repetitions."""
        world, now = self._world, CLOCK.elapsed_s
        if process.name not in world.api.has_read:
            world.breaks(f"{process.name} sends a DELETE before it has read the list of the API")
        if process.was_stopped:
            return
        paused_s = world.paused_s
        heeded_s = None if paused_s is None else paused_s + HEEDED_WITHIN_S
        if heeded_s is not None and now > heeded_s and not self._away_s(now - HEEDED_WITHIN_S, now):
            world.breaks(f"{process.name} sends a DELETE in an operator's pause, which began at {paused_s:.0f} s")
        if self._was_recorded(session_id, now):
            world.breaks(f"{process.name} sends a DELETE of {session_id} again, whose answer 204 was read")

    def miscancelled(self, row: Booked, now_s: float) -> str:
        """Return what is wrong where a session that reaper stopped is booked as cancelled."""
        if row.outcome != "cancelled" or row.round > 1 or not self._was_recorded(row.session_id, now_s):
            return ""
        return "its answer 204 was read"

    def _was_recorded(self, session_id: str, now_s: float) -> bool:
        """Return whether the books must have had the answer 204 of an ID that nobody asked for again since."""
        hosted = self._world.api.sessions.get(session_id)
        process, at_s = self._world.network.stopped.get(session_id, (None, 0.0))
        if process is None or process.was_stopped or session_id in self._world.asked_again or hosted is None:
            return False
        lives = process.ended_s is None or process.ended_s > at_s + RECORDED_WITHIN_S
        return lives and self._away_s(at_s, now_s) < MOST_AWAY_S

    def _away_s(self, from_s: float, to_s: float) -> float:
        """Return how long the queue was in trouble since some seconds before, at most."""
        if self._world.plan.engine == "ledger":
            return 0.0
        from_s -= MOST_AWAY_S
        faults = self._world.overlapping(NO_QUEUE, from_s, to_s)
        return sum(min(one.end_s, to_s) - max(one.at_s, from_s) for one in faults)

    def _judge_giving_up(self, process: Process, session_id: str, after_s: float) -> None:
        """Judge a connection that is closed before the answer: after one SIGTERM what is in flight gets its answer."""
        now = CLOCK.elapsed_s
        if process.ended_s is None or process.is_hurried or process.was_stopped or after_s > EARLY_S:
            return
        if not self._world.overlapping(NO_ANSWER | NO_QUEUE, now - 15, now):
            self._world.breaks(f"{process.name} drains, and gives up a DELETE of {session_id} after {after_s:.1f} s")

    def _judge_deadline(self, process: Process, session_id: str, after_s: float) -> None:
        """Judge a wait that was longer than the deadline of a send."""
        if not process.was_stopped and after_s > REPEATS_WITHIN_S + LATE_S:
            self._world.breaks(f"{process.name} waited {after_s:.2f} s for the answer to a DELETE of {session_id}")
