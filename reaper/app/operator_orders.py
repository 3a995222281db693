"""An operator's orders, the same for the command line and the web page: pause, resume, and decisions about holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import Hold, Holds, Refused
from reaper.core.errors import RefusedError
from reaper.core.model import Pause, PauseReason
from reaper.intake.discovery.held_sweeps import add_chosen, change_holds, reset_baseline
from reaper.queues.base import Queue
from reaper.queues.values import Added

Decide = Callable[..., tuple[Holds, Hold] | Refused]
"""`core.discovery.holds.approve` or `discard`."""


class Decided(NamedTuple):
    """A hold as it was decided, and what was queued of an approved one."""

    hold: Hold
    added: Added | None
    is_repeated: bool
    """It was decided so before this order."""


async def decide_hold(queue: Queue, decide: Decide, hold_id: str, *, by: str, why: str | None) -> Decided:
    """Carry out a decision. Raises RefusedError where the hold's state does not allow it."""
    now = queue.now()
    decided: list[Hold] = []

    def change(holds: Holds) -> Holds:
        result = decide(holds, hold_id, by=by, why=why, now=now)
        if isinstance(result, Refused):
            raise RefusedError(f"{result.reason}; see: reaper holds")
        decided.append(result[1])
        return result[0]

    _, is_new = await change_holds(queue, change)
    hold = decided[-1]
    # The decision is stored first: after a crash here it is given again, and the queue takes each ID once.
    await reset_baseline(queue, hold)
    added = await add_chosen(queue, hold.sessions, by=by) if decide is core_holds.approve else None
    return Decided(hold, added, is_repeated=not is_new)


async def pause_queue(queue: Queue, reason: str, for_s: float | None, *, by: str) -> float | None:
    """Pause the whole queue, for `for_s` or until it is resumed; return when the pause ends."""
    now = queue.now()
    until = None if for_s is None else now + for_s
    await queue.pause(Pause(PauseReason.OPERATOR, now, f"{reason} ({by})", until, by=by))
    return until


async def resume_queue(queue: Queue) -> Pause | None:
    """End the operator's pause; return it, None when there was none."""
    held = await queue.paused()
    await queue.pause(None)
    return held
