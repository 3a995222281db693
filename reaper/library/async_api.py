"""The asynchronous library: a `Reaper` works on an open ledger."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Unpack

import anyio
import structlog as _structlog  # noqa: F401  # must come first: later imports hide rich from structlog, which the host may need

from reaper.api.credentials import Credentials
from reaper.app.once import RETRY_WAIT_S, Waits, run_once
from reaper.app.operator_input import clean_reason, operator_name, session_ids
from reaper.app.run_parts import RunParts
from reaper.app.startup import protector_of
from reaper.core.errors import RefusedError, UsageError
from reaper.core.ids import check_id
from reaper.core.model import Audit, Item, Outcome, SessionId
from reaper.core.times import MAX_DURATION_S
from reaper.intake.events import NOTHING, add_up
from reaper.intake.inputs import open_inputs, take_in_file
from reaper.library.options import EffectiveOptions, Options, effective_options
from reaper.library.summary import Summary, summary_of
from reaper.queues.base import Queue, RunSet
from reaper.queues.open import open_queue
from reaper.queues.values import Added, Batch, CancelResult, NewItem, PostponeResult
from reaper.settings.state_dir import state_dir
from reaper.telemetry.host_logging import LOGGER, use_host_logger

SOURCE = "library"
BATCH = 5000
"""Number of IDs added to the queue at a time."""

Ids = str | Iterable[str]
"""One ID, or several."""
Seconds = float | timedelta

_UNKNOWN = "{id} is unknown here: it was never added, or was pruned or purged"
_SETTLED = "{id} is settled already"


@asynccontextmanager
async def open(**options: Unpack[Options]) -> AsyncIterator[Reaper]:
    """Open the ledger, creating it if it does not exist: `async with reaper.open() as r`.

    Without arguments the settings are those of the command: its file, its environment, its ledger. Arguments override
    both. Needs asyncio and catches no signal. At the end of the block, sessions that were not stopped stay queued for
    the next `Reaper`, `reaper once` or `reaper run` on the same ledger.

    Raises ConfigError or UsageError for unusable settings, QueueError for an unusable queue.
    """
    async with open_effective(effective_options(options)) as reaper:
        yield reaper


@asynccontextmanager
async def open_effective(effective: EffectiveOptions) -> AsyncIterator[Reaper]:
    """Open the ledger of the effective options; see `open`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError("reaper.open needs a running asyncio event loop") from None
    protector_of(effective.settings)  # fails before anything is added if the protected sessions are unknown
    async with AsyncExitStack() as stack:
        queue = await open_queue(
            effective.queue_url,
            create=True,
            read_only=False,
            worker=True,
            state_dir=partial(state_dir, os.environ),
            inbox_after_s=effective.settings.intake.default_after_s,
        )
        stack.push_async_callback(_close, queue.queue)
        reaper = Reaper(effective, queue.queue, stack)
        stack.enter_context(use_host_logger(reaper._secrets))
        for warning in queue.warnings:
            LOGGER.warning("%s", warning)
        yield reaper


async def _close(queue: Queue) -> None:
    with anyio.CancelScope(shield=True):
        await queue.close()


class Reaper:
    """Stops sessions and accounts for them in a ledger. `reaper.open` makes it; it is usable until the block ends.

    Every method raises QueueError when the ledger cannot be used. A cancelled call has either happened completely or
    not at all, and loses no accepted ID. One `Reaper` belongs to one event loop; several tasks may call its methods.
    """

    def __init__(self, effective: EffectiveOptions, queue: Queue, resources: AsyncExitStack) -> None:
        self._effective = effective
        self._queue = queue
        self._resources = resources
        self._credentials: Credentials | None = None
        self._parts: RunParts | None = None
        self._members: RunSet = queue.new_set()
        self._added = NOTHING
        self._stopping = asyncio.Lock()

    async def add(
        self,
        ids: Ids,
        *,
        after: Seconds | None = None,
        at: datetime | None = None,
        again: bool = False,
        or_postpone: bool = False,
    ) -> Added:
        """Add session IDs; they are durably in the ledger when this returns.

        Args:
            ids: one ID or several. A known ID changes nothing and counts as a duplicate.
            after: delay until they are due, seconds or a timedelta; default: 0.
            at: time when they are due, a datetime with a zone.
            again: re-open IDs that are settled already.
            or_postpone: give IDs that wait already the new time, which `after` or `at` says.

        Raises UsageError for the first malformed ID, and for `or_postpone` without a time; then none of them was added.
        """
        if or_postpone and after is None and at is None:
            raise UsageError("or_postpone gives IDs that wait a new time: say which with after or at")
        due_at, after_s = _due(after, at)
        found = session_ids([ids] if isinstance(ids, str) else ids, check_id)
        total = NOTHING
        for start in range(0, len(found), BATCH):
            batch = Batch(SOURCE, [NewItem(one, due_at) for one in found[start : start + BATCH]])
            added = await self._queue.add(
                batch,
                again=again,
                or_postpone=or_postpone,
                by=operator_name(),
                default_after_s=after_s,
                into=self._members,
            )
            self._added = add_up(self._added, added)
            total = add_up(total, added)
        return total

    async def add_file(
        self, path: str | os.PathLike[str], *, after: Seconds | None = None, again: bool = False
    ) -> Added:
        """Add the IDs of a file as `reaper add --from` does: IDs or JSON lines; a line without an ID counts as invalid.

        Raises UsageError when the file cannot be read.
        """
        _, after_s = _due(after, None)
        with open_inputs([os.fspath(path)]) as inputs:
            return await take_in_file(
                self._queue,
                inputs[0],
                again=again,
                by=operator_name(),
                default_after_s=after_s,
                into=self._members,
                on_batch=self._count_batch,
            )

    def _count_batch(self, added: Added, _: object) -> None:
        self._added = add_up(self._added, added)

    async def stop(
        self,
        ids: Ids = (),
        *,
        leftovers: bool = True,
        budget: Seconds | None = None,
        wait: Seconds = RETRY_WAIT_S,
    ) -> Summary:
        """Stop the IDs added since the last call, `ids` included, as `reaper once` does, and return the result.

        Ends when none of them is open, when the next retry is due later than `wait`, when the budget is used up, or
        when the API or the token failed for as long as the settings allow. None of these raises: check `Summary.ok` and
        `why`. IDs that remain open, or are not due yet, stay queued. A cancelled call records the results it has and
        releases the other leases. Concurrent calls on one `Reaper` run one after another.

        Args:
            ids: more IDs, added first.
            leftovers: also stop IDs of the ledger that are open and due, for example after a crash.
            budget: time limit, seconds or a timedelta, including the end of DELETEs in flight.
            wait: longest wait for a retry, seconds or a timedelta.

        Raises ConfigError when no token is configured, UsageError for a malformed ID.
        """
        budget_s = None if budget is None else _seconds(budget, "budget")
        if budget_s == 0:
            raise UsageError("budget must be longer than 0")
        wait_s = _seconds(wait, "wait")
        parts = self._run_parts()
        await self.add(ids)
        async with self._stopping:
            members, added = self._members, self._added
            self._members, self._added = self._queue.new_set(), NOTHING
            if leftovers:
                await members.include_due()
            waits = Waits.of(self._effective.settings, retry_s=wait_s, budget_s=budget_s)
            return summary_of(await run_once(parts, members, added, waits, leftovers=leftovers))

    async def postpone(self, session_id: str, after: Seconds) -> None:
        """Make a waiting ID due `after` from now (seconds or a timedelta); 0 makes it due now.

        Raises RefusedError when it is in flight, settled or unknown.
        """
        one, after_s = _one(session_id), _seconds(after, "after")
        match (await self._queue.postpone([one], after_s=after_s, by=operator_name()))[one]:
            case PostponeResult.DONE:
                return
            case PostponeResult.IN_FLIGHT:
                raise RefusedError(f"{one} is in flight: its DELETE is being sent")
            case PostponeResult.SETTLED:
                raise RefusedError(_SETTLED.format(id=one))
            case PostponeResult.UNKNOWN:
                raise RefusedError(_UNKNOWN.format(id=one))

    async def cancel(self, session_id: str, *, reason: str) -> bool:
        """Cancel an open ID: no DELETE is sent for it any more. `show` returns the reason.

        Returns False when its DELETE is being sent: then it ends cancelled unless the answer is final. Raises
        RefusedError when it is settled or unknown.
        """
        one = _one(session_id)
        match (await self._queue.cancel([one], reason=clean_reason(reason), by=operator_name()))[one]:
            case CancelResult.DONE:
                return True
            case CancelResult.REQUESTED:
                return False
            case CancelResult.SETTLED:
                raise RefusedError(_SETTLED.format(id=one))
            case CancelResult.UNKNOWN:
                raise RefusedError(_UNKNOWN.format(id=one))

    async def show(self, session_id: str) -> Item | None:
        """Return the item of an ID, with state, outcome and its last sends; None when the ID is unknown."""
        return await self._queue.show(_one(session_id))

    async def outcomes(self, ids: Ids) -> dict[str, Outcome | None]:
        """Return the outcome of each ID that the ledger knows; None while the ID is open."""
        found = await self._queue.outcomes_of(session_ids([ids] if isinstance(ids, str) else ids))
        return {str(one): outcome for one, outcome in found.items()}

    async def audit(self) -> Audit:
        """Compare the counters of the whole ledger with its rows; `balanced` is True when they agree."""
        return await self._queue.audit()

    def _run_parts(self) -> RunParts:
        if self._parts is None:
            self._credentials = self._effective.credentials()
            self._parts = RunParts(self._effective.settings, self._queue, self._credentials, self._resources)
        return self._parts

    def _secrets(self) -> tuple[str, ...]:
        return self._effective.secrets() + (self._credentials.secrets() if self._credentials else ())


def _one(session_id: str) -> SessionId:
    return session_ids([session_id])[0]


def _seconds(value: Seconds, name: str) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 <= seconds <= MAX_DURATION_S:
        raise UsageError(f"{name} must be from 0 to 100 years: {seconds!r} is not")
    return float(seconds)


def _due(after: Seconds | None, at: datetime | None) -> tuple[float | None, float]:
    """Return the due time (Unix seconds) or None, and the delay in seconds that holds without one."""
    if at is None:
        return None, 0.0 if after is None else _seconds(after, "after")
    if after is not None:
        raise UsageError("after and at contradict each other: give one of them")
    if at.tzinfo is None:
        raise UsageError("at must have a zone, as datetime.now(UTC) has")
    return at.timestamp(), 0.0
