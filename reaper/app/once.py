"""`once`: stop a set of IDs; end when none of it is open, or when there is a reason to leave the rest queued.

`run_once` is the use case. The command adds intake, progress and printing around it; the library adds its arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from reaper.app.run_parts import RunParts
from reaper.app.run_summary import Summary, summarize
from reaper.app.signals import Signals, end_or_reload
from reaper.app.task_groups import raise_first_error
from reaper.core.errors import PRECEDENCE, Exit, QueueUnavailableError
from reaper.core.model import Pause, PauseReason
from reaper.core.notices import WHAT_TO_DO
from reaper.queues.base import RunSet
from reaper.queues.values import Added, SetView
from reaper.settings.schema import Settings
from reaper.telemetry.event_log import Meter, WorkMeter

if TYPE_CHECKING:
    from reaper.worker.worker import Worker

POLL_S = 1.0
SUMMARY_S, HURRIED_SUMMARY_S = 8.0, 3.0
"""How long the summary waits for the queue once the end was asked for, and once it is to be at once."""
RETRY_WAIT_S = 60.0
"""`--wait`: a retry that is due later is left to the next run."""

TROUBLES = (Exit.CREDENTIALS, Exit.UNAVAILABLE)
"""Codes of a trouble that outranks work that is left."""
MOMENT_S = 2.0
"""A queue that is unavailable for less is no trouble yet."""
MIN_BUDGET_S = 0.1
"""What is left for the work, at least, when the reading has used up the time budget."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long `once` waits for each kind of trouble, seconds; `budget_s` None: no time budget.

    `spent_s`: how much of the budget was used up before the work began, by the reading of the input.
    """

    retry_s: float
    credentials_s: float
    unavailable_s: float
    budget_s: float | None = None
    drain_s: float = 25.0
    spent_s: float = 0.0

    @staticmethod
    def of(settings: Settings, *, retry_s: float, budget_s: float | None, spent_s: float = 0.0) -> Waits:
        """Return the waits of the settings, with those that each run chooses."""
        api = settings.api
        drain_s = settings.worker.drain_timeout_s
        return Waits(retry_s, api.credentials_wait_s, api.unavailable_wait_s, budget_s, drain_s, spent_s)


@dataclass(slots=True)
class Watch:
    """What accompanies a run: counts what it sends and settles, logs each session or not, shows progress."""

    meter: Meter | None = None
    metrics: WorkMeter | None = None
    each: bool = True
    show: Callable[[Worker, Once, SetView], AbstractAsyncContextManager[object]] = lambda *_: nullcontext()


async def run_once(
    parts: RunParts,
    members: RunSet,
    added: Added,
    waits: Waits,
    *,
    within: RunSet | None = None,
    begun_at: float | None = None,
    leftovers: bool = True,
    watch: Watch | None = None,
    signals: Signals | None = None,
) -> Summary:
    """Stop what is open and due of `members`; return how it ended.

    `within`: the part of the set that may be stopped now; the rest is left, and waits. `begun_at`: what was settled
    before it, by the engine's clock, was done by earlier runs; default: now. `leftovers`: first make good what an
    earlier run could not compare. Where nothing is due or left, no connection to the API is opened. `added` counts what
    the run took in, for the summary. `signals`: SIGTERM and SIGINT drain it; None in somebody else's process, where
    they are not ours to catch. Raises ConfigError for settings that cannot be used, QueueError when the queue fails for
    good.
    """
    watch = watch or Watch()
    chosen, began = within or members, anyio.current_time()
    if (
        leftovers
        and parts.settings.api.verify
        and (left := await _compare_first(parts, members, added, waits, signals))
    ):
        return left
    waits = replace(waits, spent_s=waits.spent_s + anyio.current_time() - began)
    once = Once(chosen, waits, parts.queue.now)
    earlier = await members.settled_before(parts.queue.now() if begun_at is None else begun_at)
    view = await chosen.view()
    if not view.to_do:
        return replace(await summarize(members, added, now=parts.queue.now()), earlier=earlier)
    opened = await parts.open()
    from reaper.app.wiring import new_worker

    worker = new_worker(
        parts.settings, parts.queue, *opened,
        idle=once.idle, should_stop=once.should_stop, within=chosen, meter=watch.meter, each=watch.each,
        metrics=watch.metrics,
    )  # fmt: skip
    if parts.throttled is not None:
        worker.gate.keep_silence(worker.now(), parts.throttled, jitter=random.random())
    async with watch.show(worker, once, view):
        summary = await raise_first_error(once.run(worker, added, members, signals=signals))
    return replace(summary, earlier=earlier)


async def _compare_first(
    parts: RunParts, members: RunSet, added: Added, waits: Waits, signals: Signals | None
) -> Summary | None:
    """Compare with the list what an earlier run booked as gone and could not compare; return None to go on.

    What the list shows alive is due again afterwards, and part of the set.
    """
    from reaper.worker.comparison import has_unproven

    if not await has_unproven(parts.queue):
        return None
    from reaper.app.wiring import new_worker

    opened, none = await parts.open(), parts.queue.new_set()
    once = Once(none, waits, parts.queue.now)
    worker = new_worker(parts.settings, parts.queue, *opened, idle=once.idle, should_stop=once.should_stop, within=none)
    worker.gate.allowance.owe(worker.now())
    summary = await raise_first_error(once.run(worker, added, members, signals=signals))
    if worker.has_doubts or worker.is_draining:
        return summary
    await members.include_due()
    return None


class Once:
    """Decides when a run over one set ends. Give `idle` and `should_stop` to the worker; `clock`: the engine's."""

    def __init__(self, members: RunSet, waits: Waits, clock: Callable[[], float]) -> None:
        self._members = members
        self._waits = waits
        self._clock = clock
        self.exit = Exit.WORK_LEFT
        """The exit code where work is left."""
        self._why: str | None = None
        self._drains_at: float | None = None
        """When the time budget ends the work, on the event loop's clock."""

    async def idle(self, paused: bool) -> float | None:
        """Return how long to rest; None when nothing of the set can be stopped any more in this run."""
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

    def should_stop(self, pauses: Sequence[Pause], unavailable_s: float) -> bool:
        """Return True when a pause or a queue outage has outlasted its configured wait, so that the run must stop."""
        if unavailable_s >= self._waits.unavailable_s:
            self.exit, self._why = Exit.UNAVAILABLE, f"the queue has been unavailable for {unavailable_s:.0f} s"
            return True
        for pause in pauses:
            code, wait_s = self._wait_limit(pause)
            if wait_s is not None and self._clock() - pause.since >= wait_s:
                self.exit, self._why = code, _because(pause)
                return True
        return False

    def time_until_exit_s(self, pauses: Sequence[Pause], unavailable_s: float) -> float | None:
        """Return in how long a pause or outage that holds now ends the run, or its time budget; None when none does."""
        now = self._clock()
        left = [self._waits.unavailable_s - unavailable_s] if unavailable_s else []
        for pause in pauses:
            _, wait_s = self._wait_limit(pause)
            if wait_s is not None:
                left.append(pause.since + wait_s - now)
        if left and self._drains_at is not None:
            left.append(self._drains_at - anyio.current_time())
        return max(0.0, min(left)) if left else None

    def _wait_limit(self, pause: Pause) -> tuple[Exit, float | None]:
        match pause.reason:
            case PauseReason.CREDENTIALS:
                return Exit.CREDENTIALS, self._waits.credentials_s
            case PauseReason.API_DOWN | PauseReason.WRONG_TARGET:
                return Exit.UNAVAILABLE, float("-inf") if pause.needs_operator else self._waits.unavailable_s
            case PauseReason.FORBIDDEN_STORM:
                return Exit.WORK_LEFT, self._waits.unavailable_s
            case PauseReason.OPERATOR:
                # It may have begun long ago; under it a run only takes in.
                return Exit.WORK_LEFT, float("-inf")
            case PauseReason.THROTTLED:
                return Exit.WORK_LEFT, None

    async def run(
        self, worker: Worker, added: Added, whole: RunSet | None = None, *, signals: Signals | None = None
    ) -> Summary:
        """Work until done, out of time, signalled, or tired of waiting; return the summary, of `whole` if given."""
        begun = anyio.current_time()
        obeyed = signals.obeyed(end_or_reload(worker)) if signals else nullcontext()
        with obeyed:
            async with anyio.create_task_group() as background:
                if self._waits.budget_s is not None:
                    background.start_soon(self._end_within, worker, self._waits.budget_s)
                await worker.run()
                background.cancel_scope.cancel()
            duration_s = anyio.current_time() - begun
            why = self._why or ("a signal asked for it" if worker.is_draining else None)
            with worker.end_limit(SUMMARY_S, HURRIED_SUMMARY_S) as limit:
                summary = await summarize(
                    whole or self._members, added, worker.sends, duration_s, why=why, now=self._clock(),
                    if_left=self.exit, doubts=worker.has_doubts,
                )  # fmt: skip
        if limit.cancelled_caught:
            raise QueueUnavailableError("the queue did not answer at the end; what was stopped is written in it")
        return replace(
            summary,
            unproven=worker.gate.allowance.unproven,
            retries=worker.retries,
            gone_after_unanswered=worker.gone_after_unanswered,
        )

    async def _end_within(self, worker: Worker, budget_s: float) -> None:
        """Drain early enough that what is in flight ends within the budget: a short one is half work, half drain."""
        left_s = max(MIN_BUDGET_S, budget_s - self._waits.spent_s)
        drain_s = min(self._waits.drain_s, left_s / 2)
        self._drains_at = anyio.current_time() + left_s - drain_s
        await anyio.sleep(left_s - drain_s)
        if not worker.is_draining:
            kept = f"; its last {drain_s:.0f} s were kept for what was in flight" if drain_s > 1 else ""
            self._why = f"the time budget of {budget_s:g} s is used up{kept}"
            self._note_trouble(worker, budget_s)
        worker.drain(drain_s)

    def _note_trouble(self, worker: Worker, budget_s: float) -> None:
        """Let a trouble that holds as the time is up be the reason: it would have ended the run a little later.

        A pause that no read has confirmed yet may be over in a second.
        """
        pauses = worker.pauses() if worker.gate.has_failed_to_read else []
        found = [(code, _because(pause)) for pause in pauses if (code := self._wait_limit(pause)[0]) in TROUBLES]
        if (unavailable_s := worker.queue_health.unavailable_s) > MOMENT_S:
            found.append((Exit.UNAVAILABLE, f"the queue has been unavailable for {unavailable_s:.0f} s"))
        if found:
            self.exit, because = min(found, key=lambda one: PRECEDENCE.index(one[0]))
            self._why = f"{because} (the time budget of {budget_s:g} s is used up)"


def _because(pause: Pause) -> str:
    return f"{pause.reason.value}: {pause.detail}; {WHAT_TO_DO[pause.reason]}"
