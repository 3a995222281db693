"""Makes the reads of `GET /api/sessions`: those that prove the target, and those that confirm answers of 404."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio import to_thread

from reaper.core.allowance import UNPROVEN_KEY
from reaper.core.classify import LIST_BODY_BYTES, Foreign, Proven, ReadVerdict, Throttled
from reaper.core.discovery.listing import ids_alive
from reaper.core.errors import QueueUnavailableError
from reaper.core.gate import Gate
from reaper.core.model import Answered, Reply
from reaper.worker.comparison import Comparison, Contradicted, has_unproven
from reaper.worker.identity import LARGE_BYTES, verdict_of
from reaper.worker.ports import Api, GoneJournal, Identify, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.shutdown import Shutdown
from reaper.worker.unconfirmed import TICK_S, Unconfirmed

BOOKING_S, BOOKING_TICK_S = 0.5, 0.005
"""How long a read waits for the ledger at most, and how often it asks."""
TAKE_OVER_S = 70.0
"""A living reaper compares within 60 s; what is older was left behind."""
LATE_S = 30.0
"""How much later than the time in it a row may appear: longer than a write may take."""
NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True)
class ListReads:
    """The reads of one worker, one at a time. `wake` makes the claim loop turn."""

    api: Api
    gate: Gate
    options: WorkerOptions
    journal: GoneJournal
    queue_health: QueueHealth
    shutdown: Shutdown
    identify: Identify
    comparison: Comparison
    unconfirmed: Unconfirmed
    count_booked: Callable[[], int]
    """Returns how many of the answers that `unconfirmed` passed on are in the ledger."""
    wake: Callable[[], None]
    now: Callable[[], float]
    jitter: Callable[[], float]
    _noted: bool | None = None
    """Whether the queue keeps the warning of `note_unproven`; None: not known yet."""
    _taken_over_at: float = field(init=False)
    _clear_until: float = -math.inf
    """Up to when nothing was left behind, by the queue's clock: a week of settled rows is not looked through again."""
    _is_cut: bool = False
    """The last list could not be read whole, which was logged."""

    async def run(self) -> None:
        """Make each read that the gate asks for. Runs until cancelled."""
        self._taken_over_at = self.now()
        while True:
            now, due = self.now(), self.gate.read_due()
            if due is None or due > now or self.shutdown.is_draining:
                wait_s = TICK_S if due is None or due <= now else min(TICK_S, max(due - now, 0.001))
                await self.unconfirmed.wait(wait_s)
            try:
                await self.note_unproven()
                await self._take_over()
                if due is not None and due <= now and not self.shutdown.is_draining:
                    await self._read()
            except QueueUnavailableError as error:
                self.gate.allowance.abandon_read()
                self.queue_health.mark_unavailable(error)
                await anyio.sleep(self.queue_health.wait_s)

    async def note_unproven(self) -> None:
        """Keep in the queue, for `status`, whether answers of 404 are booked without a list to compare them with."""
        unproven = self.gate.allowance.unproven
        if bool(unproven) == self._noted or (self._noted is None and not unproven and self.shutdown.is_aborted):
            return  # an end at once waits for no queue where nothing was booked
        text = await self.comparison.ledger.read_value(UNPROVEN_KEY)
        if bool(text) != bool(unproven):
            await self.comparison.ledger.compare_and_set(UNPROVEN_KEY, str(unproven) if unproven else None, was=text)
        self._noted = bool(unproven)

    async def _take_over(self) -> None:
        """Make a read due for what another reaper booked and did not live to compare. Asked once a minute."""
        if not self.gate.verify or self.now() < self._taken_over_at + TAKE_OVER_S:
            return
        self._taken_over_at = self.now()
        before = self.comparison.clock() - TAKE_OVER_S
        if await has_unproven(self.comparison.ledger, before, after=self._clear_until):
            self.gate.allowance.owe(self.now())
        else:
            self._clear_until = before - LATE_S  # earlier than it was where the clock was set back

    async def _read(self) -> None:
        """Make one read, compare the list with the ledger, and settle the answers that waited for it."""
        await self._wait_for_bookings()
        if self.gate.read_due() is None:
            return  # meanwhile the address became one to which nothing may be sent
        if self.queue_health.unavailable_s:
            await self.comparison.ledger.read_value(UNPROVEN_KEY)  # without the queue a list is compared with nothing
        began = self.now()
        # A read for identity begins anew at an address that is set meanwhile: its answer is of the present one.
        throttle = None if self.gate.needs_identity else self.gate.throttle
        self.gate.allowance.begin_read(all_booked=self.count_booked() >= self.unconfirmed.booked)
        reply, verdict = await (self.identify() if self.gate.needs_identity else self._list())
        found, alive = Contradicted(), NOTHING
        is_proof = isinstance(verdict, Proven) and verdict.generation in (None, self.gate.generation)
        is_owed = self.unconfirmed.count() or self.gate.allowance.owes_read
        is_cut = isinstance(reply, Answered) and len(reply.body) >= LIST_BODY_BYTES  # which is to be said
        is_needed = is_proof and (is_owed or is_cut or await self.comparison.needs_list(began))
        if is_proof and (listed := await self._alive(reply) if is_needed else NOTHING) is not None:
            alive = listed
            found = await self.comparison.compare(alive, began, self.options.retry, owed=self.gate.allowance.owes_read)
        self.gate.observe_read(self.now(), verdict, jitter=self.jitter(), throttle=throttle)
        if found.alive:
            self.gate.allowance.restart()
        if found.detail is not None:
            self.gate.contradict(self.now(), found.detail)
            self.unconfirmed.release_all()
        elif is_proof and not is_needed:
            if self.unconfirmed.count():  # since a moment ago: nobody has looked for it on the list
                self.unconfirmed.ask_for_read()
        elif is_proof:
            again = Contradicted(self.unconfirmed.confirm(alive, began), are_all=not self.gate.allowance.has_stopped)
            if again.detail is not None:
                self.gate.contradict(self.now(), again.detail)
        elif not isinstance(verdict, Proven | Throttled):
            self.unconfirmed.release_all()
            if isinstance(verdict, Foreign) and self.gate.allowance.owes_read:
                await self.comparison.reopen_unproven()
        self.wake()

    async def _wait_for_bookings(self) -> None:
        """Wait a moment until the ledger has what was booked: a read is compared with what was there as it began."""
        booked, until = self.unconfirmed.booked, self.now() + BOOKING_S
        while self.count_booked() < booked and self.now() < until:  # noqa: ASYNC110 - the settler knows no waiters
            await anyio.sleep(BOOKING_TICK_S)

    async def _list(self) -> tuple[Reply, ReadVerdict]:
        reply = await self.api.list_sessions()
        return reply, await verdict_of(reply)

    async def _alive(self, reply: Reply | None) -> frozenset[str] | None:
        """Return the IDs that the list shows alive; None when it cannot be read whole, which is logged once."""
        body = reply.body if isinstance(reply, Answered) else b""
        alive = ids_alive(body) if len(body) <= LARGE_BYTES else await to_thread.run_sync(ids_alive, body)
        if alive is None and not self._is_cut:
            self.journal.list_cut(len(body))
        self._is_cut = alive is None
        return alive
