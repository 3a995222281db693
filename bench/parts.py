"""Where the time of one session goes: CPU microseconds of each part, measured by leaving parts out.

    .venv/bin/python -m bench.parts [--sessions 20000] [--concurrency 256] [--latency-ms 0] [--runs 3]

The worker runs with nothing behind it (a queue that is a counter, an API that answers at once, no log), then with each
part put in for real: the log written to a file, a daemon's counters for Prometheus, the ledger on disk, HTTP/1.1 in
the clear and over TLS and HTTP/2 to `bench/server.py`, which runs on another core. The difference to the first line is
what the part costs; all threads of the process count. Answers that come one by one (`--latency-ms 100 --concurrency
64`) cost more than those that come together.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from bench.served import certified, served
from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.cli.context import run_async
from reaper.core.classify import ReadVerdict, classify_read
from reaper.core.decide import RetryPolicy
from reaper.core.gate import Gate
from reaper.core.model import Answered, Lease, LeaseResult, Reply, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.sqlite.open import open_ledger
from reaper.queues.values import Batch, NewItem
from reaper.telemetry import logs
from reaper.telemetry.event_log import LogJournal
from reaper.telemetry.metrics import Metrics
from reaper.worker.ports import Api, Journal, WorkerOptions
from reaper.worker.worker import Worker
from tests.support.queues.memory import MemoryQueue

TOKEN = "archal_ws_some_token"
NOW_S = 0.002
"""How late `AtOnce` answers at least: all that come together go on together."""


class AtOnce:
    """An API that stops everything without a network."""

    answer = Answered(204, b"", 0.001)

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s

    async def stop(self, session_id: SessionId, may_start: object = None) -> Reply:
        await anyio.sleep(self._latency_s)
        return self.answer

    async def list_sessions(self) -> Reply:
        return Answered(200, b'{"sessions": []}', 0.001)

    async def get_session(self, session_id: SessionId, may_start: object = None) -> Reply:
        raise NotImplementedError(session_id)

    async def whoami(self) -> Reply:
        raise NotImplementedError


class Counter(MemoryQueue):
    """A queue that gives so many leases and forgets what becomes of them."""

    def __init__(self, sessions: int) -> None:
        super().__init__()
        self._left = sessions

    async def claim(self, limit: int, **_: Any) -> list[Lease]:
        given = range(self._left, max(0, self._left - limit), -1)
        self._left -= len(given)
        return [Lease(SessionId(f"ses_{n:024x}"), "", 1, 0, 1, 0, False, False, "bench", 0.0, 0.0) for n in given]

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        # On a busy machine a lease may get too old to be sent.
        self._left += sum(not isinstance(end.decision, Settle) for end in results)
        return [True] * len(results)

    async def next_at(self) -> float | None:
        return 0.0 if self._left else None


class Silent:
    """A journal that tells nothing."""

    is_behind = False

    def settled(self, *_: Any) -> None: ...

    def retry_scheduled(self, *_: Any) -> None: ...

    def lease_lost(self, *_: Any) -> None: ...

    def results_unwritten(self, *_: Any) -> None: ...

    def paused(self, *_: Any) -> None: ...

    def pause_changed(self, *_: Any) -> None: ...

    def target_pinned(self, address: str) -> None: ...

    def reopened(self, *_: Any) -> None: ...

    def ghost(self, *_: Any) -> None: ...

    def unproven_gone(self, *_: Any) -> None: ...

    def list_cut(self, *_: Any) -> None: ...

    def account_pinned(self, account: str) -> None: ...

    def account_unknown(self, why: str) -> None: ...

    def resumed(self, *_: Any, **__: Any) -> None: ...

    def queue_unavailable(self, *_: Any) -> None: ...

    def queue_recovered(self, *_: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class LogSettings:
    log_format: str = "json"
    log_level: str = "info"
    log_schema: str = "plain"


@dataclass(frozen=True, slots=True)
class Run:
    """What is put in, and how much is asked of it."""

    sessions: int
    concurrency: int
    latency_s: float
    target: Target | None = None
    log: bool = False
    ledger: bool = False
    metrics: bool = False
    """Counted for `/metrics`, as a daemon does."""


def cpu_s() -> float:
    """Return the CPU that this process has used, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@asynccontextmanager
async def ledger_of(path: str, sessions: int) -> AsyncIterator[Queue]:
    """Open a ledger and put so many sessions into it."""
    queue, _ = await open_ledger(path, create=True, read_only=False, worker=True)
    try:
        for at in range(0, sessions, 5000):
            numbers = range(at, min(at + 5000, sessions))
            await queue.add(Batch("bench", [NewItem(SessionId(f"ses_{number:024x}")) for number in numbers]))
        yield queue
    finally:
        await queue.close()


async def work(run: Run, cost: list[float]) -> int:
    """Work off so many sessions; note the CPU microseconds per session, from the first claim on."""
    async with AsyncExitStack() as opened:
        queue: Queue = Counter(run.sessions)
        if run.ledger:
            folder = opened.enter_context(tempfile.TemporaryDirectory())
            queue = await opened.enter_async_context(ledger_of(str(Path(folder, "ledger.db")), run.sessions))
        assert await work_off(run, queue, cost) == run.sessions
    return 0


async def work_off(run: Run, queue: Queue, cost: list[float]) -> int:
    """Stop all that is in a queue; note the CPU microseconds per session, and return how many were sent."""
    async with AsyncExitStack() as opened:
        credentials = Credentials(None, TOKEN)
        api: Api = AtOnce(run.latency_s)
        if run.target is not None:
            client = Client(run.target, credentials)
            opened.push_async_callback(client.aclose)
            api = client

        async def idle(paused: bool) -> float | None:
            return None if await queue.next_at() is None else 0.01

        async def identify() -> tuple[Reply, ReadVerdict]:
            reply = await api.list_sessions()
            return reply, classify_read(reply)

        async def compare_target(*, proven: bool) -> None:
            """No address is kept."""

        journal: Journal = LogJournal() if run.log else Silent()
        if run.metrics:
            journal = LogJournal(metrics=Metrics(), log_each_session=run.log)
        worker = Worker(
            queue=queue,
            api=api,
            gate=Gate(run.concurrency),
            token=credentials,
            options=WorkerOptions(120.0, 20.0, RetryPolicy(16, 1.0, 600.0), 1e9, 25.0),
            journal=journal,
            idle=idle,
            identify=identify,
            compare_target=compare_target,
            now=time.monotonic,
        )
        before = cpu_s()
        await worker.run()
        cost.append((cpu_s() - before) / max(worker.sends, 1) * 1e6)
        return worker.sends


def measured(run: Run, runs: int) -> float:
    """Return the median of the CPU microseconds per session."""
    cost: list[float] = []
    for _ in range(runs):
        run_async(work, run, cost, fast=True)
    return statistics.median(cost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[1]})
    print(f"{asked.sessions} sessions, {asked.concurrency} at once, {asked.latency_ms:g} ms, medians of {asked.runs}")
    print(f"{'CPU per session':<44}{'µs':>6}{'part':>8}")
    base = 0.0

    def tell(name: str, part: float | None = None, **more: Any) -> float:
        run = Run(asked.sessions, asked.concurrency, asked.latency_ms / 1000 or NOW_S, **more)
        cost = measured(run, asked.runs)
        print(f"{name:<44}{cost:>6.0f}{'' if part is None else f'{cost - part:>+8.0f}'}", flush=True)
        return cost

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w") as file:
        logs.configure(LogSettings(), file, secrets=lambda: (TOKEN,))
        base = tell("worker and gate, nothing behind them")
        tell("with the log", base, log=True)
        tell("with the metrics of a daemon", base, metrics=True)
        tell("with the ledger, its history included", base, ledger=True)
        certificate = certified(Path(folder))
        for name, http, tls in (
            ("HTTP/1.1", "1.1", None),
            ("HTTP/1.1 over TLS", "1.1", certificate),
            ("HTTP/2 over TLS", "2", certificate),
        ):
            with served(Path(folder), asked.latency_ms, tls, cores[0] if len(cores) > 1 else None, "own") as server:
                ca = str(server.authority) if server.authority else None
                target = Target(server.url, 20.0, 5.0, ca, None, http, asked.concurrency)  # type: ignore[arg-type]
                tell(f"with {name}", base, target=target)
                tell(f"all, with {name}", target=target, log=True, ledger=True)


if __name__ == "__main__":
    main()
