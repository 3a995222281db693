"""`once`: stop a set of IDs and end when none of it is open, or when there is a reason to leave the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio

from reaper.app.signals import obey_signals
from reaper.core.errors import Exit
from reaper.core.model import DEAD, Outcome, Pause, PauseReason
from reaper.queues.base import RunSet
from reaper.queues.values import Added, SetView
from reaper.worker.worker import Worker

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Waits:
    """How long `once` waits for each kind of trouble, seconds; `budget_s` None: no time budget."""

    retry_s: float
    credentials_s: float
    unavailable_s: float
    budget_s: float | None = None
    drain_s: float = 25.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What `once` prints; counts are of its set."""

    added: Added
    view: SetView
    sends: int
    duration_s: float
    exit: Exit
    why: str | None = None
    """Why it left work behind, in words."""

    def as_json(self) -> dict[str, object]:
        settled = {outcome.value: self.view.settled.get(outcome, 0) for outcome in Outcome}
        return {
            "accepted": self.added.accepted,
            "duplicate": self.added.duplicate,
            "invalid": self.added.invalid,
            **settled,
            "waiting": self.view.open,
            "delayed": self.view.delayed,
            "sends": self.sends,
            "duration_s": round(self.duration_s, 3),
            "exit": int(self.exit),
        }


_REMEDIES = {
    PauseReason.CREDENTIALS: "; put a good token in its place first",
    PauseReason.WRONG_TARGET: "; see: reaper check",
    PauseReason.API_DOWN: "; see: reaper check",
    PauseReason.OPERATOR: "; reaper resume ends the pause",
}


class Once:
    """One run over one set. Give its `idle` and `enough` to the worker, then call `run`. `clock`: the engine's."""

    def __init__(self, members: RunSet, waits: Waits, clock: Callable[[], float]) -> None:
        self._members = members
        self._waits = waits
        self._clock = clock
        self._exit: Exit | None = None
        self._why: str | None = None

    async def idle(self, paused: bool) -> float | None:
        """End when nothing of the set can be stopped any more in this run (SPEC 3, `once`)."""
        next_at = await self._members.next_at()
        if next_at is None:
            return None
        if paused:
            return POLL_S  # its end wakes the worker
        wait_s = next_at - self._clock()
        if wait_s <= self._waits.retry_s:
            return min(max(wait_s, 0.01), POLL_S)
        if (await self._members.view()).in_flight:
            return POLL_S
        self._why = f"the next retry is due in {wait_s:.0f} s, later than --wait {self._waits.retry_s:g}"
        return None

    def should_stop(self, pauses: Sequence[Pause], away_s: float) -> bool:
        """Return whether a pause has held, or the queue been away, for as long as `once` waits for its kind."""
        if away_s >= self._waits.unavailable_s:
            self._exit, self._why = Exit.UNAVAILABLE, f"the queue has been away for {away_s:.0f} s"
            return True
        for pause in pauses:
            code, wait_s = self._patience(pause.reason)
            if wait_s is not None and self._clock() - pause.since >= wait_s:
                self._exit, self._why = code, f"{pause.reason.value}: {pause.detail}{_REMEDIES.get(pause.reason, '')}"
                return True
        return False

    def ends_in_s(self, pauses: Sequence[Pause], away_s: float) -> float | None:
        """Return in how long what holds now ends the run, None when nothing of it does."""
        now = self._clock()
        left = [self._waits.unavailable_s - away_s] if away_s else []
        for pause in pauses:
            _, wait_s = self._patience(pause.reason)
            if wait_s is not None:
                left.append(pause.since + wait_s - now)
        return max(0.0, min(left)) if left else None

    def _patience(self, reason: PauseReason) -> tuple[Exit, float | None]:
        match reason:
            case PauseReason.CREDENTIALS:
                return Exit.CREDENTIALS, self._waits.credentials_s
            case PauseReason.API_DOWN | PauseReason.WRONG_TARGET:
                return Exit.UNAVAILABLE, self._waits.unavailable_s
            case PauseReason.FORBIDDEN_STORM:
                return Exit.WORK_LEFT, self._waits.unavailable_s
            case PauseReason.OPERATOR:
                # Its beginning may lie far back; taking in is all that is done under it.
                return Exit.WORK_LEFT, float("-inf")
            case PauseReason.THROTTLED:
                return Exit.WORK_LEFT, None

    async def run(self, worker: Worker, added: Added, *, signals: bool = True) -> Summary:
        """Work until done, out of time, told to stop or out of patience; return the summary.

        `signals`: SIGTERM and SIGINT tell it to stop. Not in somebody else's process, where they are not ours to catch.
        """
        begun = anyio.current_time()
        async with anyio.create_task_group() as around:
            if signals:
                started = anyio.Event()
                around.start_soon(partial(obey_signals, worker, started=started))
                await started.wait()
            if self._waits.budget_s is not None:
                around.start_soon(self._budget, worker, self._waits.budget_s)
            await worker.run()
            around.cancel_scope.cancel()
        if worker.draining and self._why is None:
            self._why = "told to stop"
        return await self.summary(added, worker.sends, anyio.current_time() - begun)

    async def summary(self, added: Added, sends: int = 0, duration_s: float = 0.0) -> Summary:
        """Return how the set stands and the exit code that follows."""
        view = await self._members.view()
        why = self._why if view.open > view.delayed else None
        return Summary(added, view, sends, duration_s, self._verdict(view, added), why)

    async def _budget(self, worker: Worker, budget_s: float) -> None:
        """Drain early enough that what is in flight ends within the budget: a short one is half work, half drain."""
        drain_s = min(self._waits.drain_s, budget_s / 2)
        await anyio.sleep(budget_s - drain_s)
        worker.rules = replace(worker.rules, drain_timeout_s=drain_s)
        self._why = f"the time budget of {budget_s:g} s is used up"
        worker.drain()

    def _verdict(self, view: SetView, added: Added) -> Exit:
        left = view.open - view.delayed
        if left and self._exit is not None:
            return self._exit
        if left:
            return Exit.WORK_LEFT
        dead = any(view.settled.get(outcome, 0) for outcome in DEAD)
        return Exit.DEAD if dead or added.invalid else Exit.OK
