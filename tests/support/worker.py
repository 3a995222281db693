"""A small world for the worker: the in-memory queue, an API that is a function, a journal that remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio

from reaper.app.once import Once, Waits
from reaper.app.run_summary import Summary
from reaper.core.classify import ReadVerdict, classify_read
from reaper.core.decide import RetryPolicy
from reaper.core.gate import Gate
from reaper.core.model import (
    Answered,
    Failed,
    Fault,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    PauseReason,
    Release,
    Reply,
    Retry,
    Send,
    SessionId,
    Settle,
    Withheld,
)
from reaper.queues.values import Added, Batch, NewItem
from reaper.worker.identity import Identity
from reaper.worker.ports import IdleWait, Preflight, WorkerOptions
from reaper.worker.worker import Worker
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store

ME = Answered(200, b'{"userId":"usr_1"}', 0.0)
LIST = Answered(200, b'{"sessions":[]}', 0.0)
STOPPED = Answered(204, b"", 0.0)
GONE = Answered(404, b'{"error":"gone"}', 0.0)
BAD = Answered(502, b"", 0.0)
RESET = Failed(Fault.RESET, True, "reset", 0.0)

Answer = Callable[[SessionId, int], Awaitable[Reply]]


@dataclass(slots=True)
class FakeToken:
    generation: int = 0
    changed: bool = False

    def refresh(self) -> bool:
        changed, self.changed = self.changed, False
        self.generation += changed
        return changed


@dataclass(slots=True)
class FakeApi:
    """Answers each DELETE by a function of the ID and how often it was sent; knows the peak in flight."""

    answer: Answer
    token: FakeToken
    latency_s: float = 0.1
    listing: Reply = LIST
    read_s: float = 0.01
    """How long a list takes."""
    waits_s: Callable[[SessionId], float] | None = None
    """How long a DELETE waits for a connection."""
    lists: Callable[[], Reply] | None = None
    """Makes each list, where it changes."""
    sent: Counter[SessionId] = field(default_factory=Counter)
    at: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    in_flight: int = 0
    peak: int = 0

    async def stop(self, session_id: SessionId, may_start: Callable[[], bool]) -> Reply:
        if self.waits_s is not None and (wait_s := self.waits_s(session_id)):
            await anyio.sleep(wait_s)
            if not may_start():
                raise Withheld
        self.sent[session_id] += 1
        self.at.append(anyio.current_time())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await anyio.sleep(self.latency_s)
            return await self.answer(session_id, self.sent[session_id])
        finally:
            self.in_flight -= 1

    async def get_session(self, session_id: SessionId, may_start: object = None) -> Reply:
        raise NotImplementedError(session_id)

    async def whoami(self) -> Reply:
        return replace(ME, token_generation=self.token.generation)

    async def list_sessions(self) -> Reply:
        self.reads.append(anyio.current_time())
        generation = self.token.generation
        listing = self.lists() if self.lists is not None else self.listing
        await anyio.sleep(self.read_s)
        return replace(listing, token_generation=generation) if isinstance(listing, Answered) else listing


@dataclass(slots=True)
class Noted:
    """A journal that remembers."""

    outcomes: list[tuple[SessionId, Outcome]] = field(default_factory=list)
    pauses: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Other details of pauses that went on."""
    lost: list[SessionId] = field(default_factory=list)
    unwritten: list[SessionId] = field(default_factory=list)
    unsent: int = 0
    is_behind: bool = False
    queue: list[str] = field(default_factory=list)

    def settled(self, lease: Lease, settle: Settle, send: Send | None, waited_s: float) -> None:
        self.outcomes.append((lease.session_id, settle.outcome))

    def retry_scheduled(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None:
        self.unsent += send is None

    def lease_lost(self, lease: Lease) -> None:
        self.lost.append(lease.session_id)

    def results_unwritten(self, results: Sequence[LeaseResult]) -> None:
        self.unwritten += [result.lease.session_id for result in results]

    def paused(self, pause: Pause) -> None:
        self.pauses.append(f"+{pause.reason}")

    def pause_changed(self, pause: Pause) -> None:
        self.changed.append(pause.detail)

    def resumed(self, reason: PauseReason, held_s: float, *, last: bool) -> None:
        self.pauses.append(f"-{reason}{'.' if last else ''}")

    def target_pinned(self, address: str) -> None:
        self.queue.append(f"target: {address}")

    def reopened(self, session_ids: Sequence[SessionId], why: str) -> None:
        self.queue.append(f"reopened: {' '.join(session_ids)}")

    def ghost(self, session_id: SessionId, outcome: Outcome) -> None:
        self.queue.append(f"ghost: {session_id}")

    def unproven_gone(self, count: int) -> None:
        self.queue.append(f"unproven: {count}")

    def list_cut(self, size: int) -> None:
        self.queue.append("list cut")

    def account_pinned(self, account: str) -> None:
        self.queue.append(f"account: {account}")

    def account_unknown(self, why: str) -> None:
        self.queue.append(f"no account: {why}")

    def queue_unavailable(self, why: str) -> None:
        self.queue.append(f"away: {why}")

    def queue_recovered(self, away_s: float) -> None:
        self.queue.append("back")


@dataclass(slots=True)
class World:
    queue: MemoryQueue
    api: FakeApi
    worker: Worker
    once: Once
    journal: Noted
    token: FakeToken
    added: Added

    async def run(self) -> Summary:
        return await self.once.run(self.worker, self.added)

    async def again(self) -> World:
        """The next run over the same ledger and API, in a process of its own."""
        self.queue.store.mark_dead(self.queue.owner)
        return await world(
            len(self.api.sent), self.api.answer, lists=self.api.lists, store=self.queue.store, latency_s=0.1
        )


async def world(
    n: int,
    answer: Answer,
    *,
    store: Store | None = None,
    bound: int = 4,
    retry_s: float = 60.0,
    idle: IdleWait | None = None,
    preflight: Preflight | None = None,
    verify: bool = True,
    address: Callable[[], str] | None = None,
    gives_up: bool = True,
    is_daemon: bool = False,
    budget_s: float | None = None,
    **api: object,
) -> World:
    """Build a world around one `once`.

    `address`: the worker compares it with the queue's, as reaper does. `gives_up`: a pause may end it.
    `is_daemon`: it works on whatever the queue holds, not on its set alone.
    """
    clock = anyio.current_time
    queue = MemoryQueue(store, clock)
    members = queue.new_set()
    added = await queue.add(Batch("test", [NewItem(SessionId(f"s{i}")) for i in range(n)]), into=members)
    once = Once(members, Waits(retry_s=retry_s, credentials_s=30, unavailable_s=60, budget_s=budget_s), clock)
    token, journal = FakeToken(), Noted()
    fake = FakeApi(answer, token, **api)  # type: ignore[arg-type]

    async def identify() -> tuple[Reply, ReadVerdict]:
        reply = await fake.list_sessions()
        return reply, classify_read(reply)

    async def compare_target(*, proven: bool) -> None:
        """No address is kept."""

    identity = Identity(lambda: (fake, address() if address else ""), queue, journal)
    worker = Worker(
        queue=queue,
        api=fake,
        gate=Gate(bound, verify=verify),
        token=token,
        options=WorkerOptions(
            lease_s=120, send_s=20, retry=RetryPolicy(16, 1, 600), keep_settled_s=1e9, drain_timeout_s=25
        ),
        journal=journal,
        idle=idle or once.idle,
        preflight=preflight,
        identify=identity.read if address else identify,
        compare_target=identity.compare if address else compare_target,
        within=None if is_daemon else members,
        should_stop=once.should_stop if gives_up else lambda *_: False,
        clock=clock,
        jitter=lambda: 0.5,
    )
    return World(queue, fake, worker, once, journal, token, added)


async def well(_: SessionId, __: int) -> Reply:
    return STOPPED
