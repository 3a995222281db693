"""The async API: a `Reaper` over an open ledger."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Unpack

import anyio
import structlog as _structlog  # noqa: F401  # before ours imports it without rich: the host program may want both

from reaper.api.credentials import Credentials
from reaper.app.once import Once, Waits
from reaper.app.operator_input import clean_reason, operator_name, session_ids
from reaper.app.wiring import RunParts, protector_of, raise_first_error
from reaper.core.errors import RefusedError, UsageError
from reaper.core.model import Audit, Item, Outcome, SessionId
from reaper.core.times import MAX_DURATION_S
from reaper.intake.events import NOTHING, add_up
from reaper.intake.inputs import open_inputs, take_in_file
from reaper.library.options import EffectiveOptions, Options, effective_options
from reaper.library.summary import Summary, summary_of
from reaper.queues.base import Added, Batch, CancelResult, NewItem, PostponeResult, Queue, RunSet
from reaper.queues.open import open_queue
from reaper.settings.state_dir import state_dir
from reaper.telemetry.host_logging import LOGGER, use_host_logger

SOURCE = "library"
BATCH = 5000
"""How many IDs are taken in at a time."""
WAIT_S = 60.0

Ids = str | Iterable[str]
"""One ID, or several."""
Seconds = float | timedelta

_UNKNOWN = "{id} is unknown here: it was never added, or was pruned or purged"
_SETTLED = "{id} is settled already"


@asynccontextmanager
async def open(**options: Unpack[Options]) -> AsyncIterator[Reaper]:
    """Open the ledger, and make it where there is none: `async with reaper.open() as r`.

    Without arguments the settings are those of the command: its file, its environment, its ledger. An argument wins
    over both. Runs under asyncio and catches no signal. When it is left, whatever was not stopped stays queued for the
    next `Reaper`, `reaper once` or `reaper run` on the same ledger.

    Raises ConfigError or UsageError for settings that cannot be used, QueueError for a queue that cannot.
    """
    async with opened(effective_options(options)) as reaper:
        yield reaper


@asynccontextmanager
async def opened(found: EffectiveOptions) -> AsyncIterator[Reaper]:
    """Open what the settings name; see `open`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError("reaper.open needs a running asyncio event loop") from None
    protector_of(found.settings)  # before anything is taken in: nothing may be stopped that might be protected
    async with AsyncExitStack() as stack:
        queue = await open_queue(
            found.queue_url,
            create=True,
            read_only=False,
            worker=True,
            state_dir=partial(state_dir, os.environ),
            inbox_after_s=found.settings.intake.default_after_s,
        )
        stack.push_async_callback(_close, queue.queue)
        reaper = Reaper(found, queue.queue, stack)
        stack.enter_context(use_host_logger(reaper._secrets))
        for warning in queue.warnings:
            LOGGER.warning("%s", warning)
        yield reaper


async def _close(queue: Queue) -> None:
    with anyio.CancelScope(shield=True):
        await queue.close()


class Reaper:
    """Stops sessions and accounts for them in a ledger; made by `reaper.open`, good until that is left.

    Every method raises QueueError when the ledger cannot be used. What is cancelled has either happened or not; nothing
    that was accepted is lost by it. One `Reaper` belongs to one event loop; its methods may be called from several
    tasks.
    """

    def __init__(self, found: EffectiveOptions, queue: Queue, opened: AsyncExitStack) -> None:
        self._found = found
        self._queue = queue
        self._opened = opened
        self._credentials: Credentials | None = None
        self._assembly: RunParts | None = None
        self._members: RunSet = queue.new_set()
        self._added = NOTHING
        self._stopping = asyncio.Lock()

    async def add(
        self, ids: Ids, *, after: Seconds | None = None, at: datetime | None = None, again: bool = False
    ) -> Added:
        """Take in session IDs; they are in the ledger, durably, when this returns.

        Args:
            ids: one ID or several. An ID that is known already changes nothing and counts as a duplicate.
            after: they are due so much later, seconds or a timedelta. Default: now.
            at: they are due then; a datetime with a zone.
            again: re-open those that are settled already.

        Raises UsageError for the first ID that is malformed, and then none of them was taken in.
        """
        due_at, after_s = _due(after, at)
        found = session_ids([ids] if isinstance(ids, str) else ids)
        total = NOTHING
        for start in range(0, len(found), BATCH):
            batch = Batch(SOURCE, [NewItem(one, due_at) for one in found[start : start + BATCH]])
            added = await self._queue.add(
                batch, again=again, by=operator_name(), default_after_s=after_s, into=self._members
            )
            self._added = add_up(self._added, added)
            total = add_up(total, added)
        return total

    async def add_file(
        self, path: str | os.PathLike[str], *, after: Seconds | None = None, again: bool = False
    ) -> Added:
        """Take in a file as `reaper add --from` does: IDs or JSON lines; a line that holds no ID counts as invalid.

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
                on_batch=self._noted,
            )

    def _noted(self, added: Added, _: Sequence[object]) -> None:
        self._added = add_up(self._added, added)

    async def stop(
        self,
        ids: Ids = (),
        *,
        leftovers: bool = True,
        budget: Seconds | None = None,
        wait: Seconds = WAIT_S,
    ) -> Summary:
        """Stop what was added since the last call, `ids` included, and return what came of it: as `reaper once` does.

        Ends when nothing of that is open any more, when a retry is due later than `wait`, when the budget is used up,
        or when the API or its token were no good for as long as the settings say. None of these is an exception: look
        at `Summary.ok` and `why`. What is left stays queued, and what is not due yet is not waited for. A cancelled
        call records what it knows and hands back the rest. Calls on one `Reaper` follow each other.

        Args:
            ids: more IDs to take in first.
            leftovers: also stop what is open and due in the ledger already, such as what a crash left behind.
            budget: most time this may take, seconds or a timedelta, the end of what is in flight included.
            wait: how far ahead a retry may be due to be waited for.

        Raises ConfigError when no token is configured, UsageError for a malformed ID.
        """
        budget_s = None if budget is None else _seconds(budget, "budget")
        if budget_s == 0:
            raise UsageError("budget must be longer than 0")
        wait_s = _seconds(wait, "wait")
        assembly = self._assembled()
        await self.add(ids)
        async with self._stopping:
            members, added = self._members, self._added
            self._members, self._added = self._queue.new_set(), NOTHING
            if leftovers:
                await members.include_due()
            api = self._found.settings.api
            once = Once(
                members,
                Waits(
                    retry_s=wait_s,
                    credentials_s=api.credentials_wait_s,
                    unavailable_s=api.unavailable_wait_s,
                    budget_s=budget_s,
                    drain_s=self._found.settings.worker.drain_timeout_s,
                ),
                self._queue.now,
            )
            view = await members.view()
            if view.open == view.delayed:
                return summary_of(await once.summary(added))
            worker = await assembly.worker(idle=once.idle, should_stop=once.should_stop, within=members)
            return summary_of(await raise_first_error(once.run(worker, added, signals=False)))

    async def postpone(self, session_id: str, after: Seconds) -> None:
        """Have a waiting ID be due so much later from now; 0 makes it due now.

        Raises RefusedError when it is in flight, settled or unknown.
        """
        one, after_s = _one(session_id), _seconds(after, "after")
        match await self._queue.postpone(one, after_s):
            case PostponeResult.DONE:
                return
            case PostponeResult.IN_FLIGHT:
                raise RefusedError(f"{one} is in flight: its DELETE is being sent")
            case PostponeResult.SETTLED:
                raise RefusedError(_SETTLED.format(id=one))
            case PostponeResult.UNKNOWN:
                raise RefusedError(_UNKNOWN.format(id=one))

    async def cancel(self, session_id: str, *, reason: str) -> bool:
        """Take an open ID out: nothing more is sent for it. The reason is kept for `show`.

        Returns False when its DELETE is being sent: then it ends cancelled unless the answer is final. Raises
        RefusedError when it is settled or unknown.
        """
        one = _one(session_id)
        match await self._queue.cancel(one, reason=clean_reason(reason), by=operator_name()):
            case CancelResult.DONE:
                return True
            case CancelResult.REQUESTED:
                return False
            case CancelResult.SETTLED:
                raise RefusedError(_SETTLED.format(id=one))
            case CancelResult.UNKNOWN:
                raise RefusedError(_UNKNOWN.format(id=one))

    async def show(self, session_id: str) -> Item | None:
        """Return what is known of an ID: its state, outcome, and each of its last sends; None when it is unknown."""
        return await self._queue.show(_one(session_id))

    async def outcomes(self, ids: Ids) -> dict[str, Outcome | None]:
        """Return those of the IDs that the ledger knows: the outcome of what is settled, None while it is open."""
        found = await self._queue.outcomes_of(session_ids([ids] if isinstance(ids, str) else ids))
        return {str(one): outcome for one, outcome in found.items()}

    async def audit(self) -> Audit:
        """Hold the books of the whole ledger against each other; `balanced` tells whether they agree."""
        return await self._queue.audit()

    def _assembled(self) -> RunParts:
        if self._assembly is None:
            self._credentials = self._found.credentials()
            self._assembly = RunParts(self._found.settings, self._queue, self._credentials, self._opened)
        return self._assembly

    def _secrets(self) -> tuple[str, ...]:
        return self._found.secrets() + (self._credentials.secrets() if self._credentials else ())


def _one(session_id: str) -> SessionId:
    return session_ids([session_id])[0]


def _seconds(value: Seconds, name: str) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 <= seconds <= MAX_DURATION_S:
        raise UsageError(f"{name} must be from 0 to 100 years: {seconds!r} is not")
    return float(seconds)


def _due(after: Seconds | None, at: datetime | None) -> tuple[float | None, float]:
    """Return the instant, or else how long from now."""
    if at is None:
        return None, 0.0 if after is None else _seconds(after, "after")
    if after is not None:
        raise UsageError("after and at contradict each other: give one of them")
    if at.tzinfo is None:
        raise UsageError("at must have a zone, as datetime.now(UTC) has")
    return at.timestamp(), 0.0
