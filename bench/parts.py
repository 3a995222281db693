"""Where the time of one session goes: CPU microseconds of each part, measured by leaving parts out.

    .venv/bin/python -m bench.parts [--sessions 20000] [--concurrency 256]

Runs the worker over an API that answers at once without a network: with a queue in memory and no log, with the log
written to a file, with the ledger on disk. The differences are the parts; the last line is the whole process.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from reaper.core.decide import RetryPolicy
from reaper.core.gate import Gate
from reaper.core.model import Answered, Reply, SessionId
from reaper.queues.base import Batch, NewItem, Queue
from reaper.queues.memory import MemoryQueue
from reaper.queues.sqlite import open_ledger
from reaper.seams import Journal, Rules
from reaper.telemetry import logs
from reaper.telemetry.journal import LogJournal
from reaper.worker import Worker


class AtOnce:
    """An API that stops everything without a network."""

    answer = Answered(204, b"", 0.001)

    async def stop(self, session_id: SessionId) -> Reply:
        await anyio.lowlevel.checkpoint()
        return self.answer

    async def list_sessions(self) -> Reply:
        return Answered(200, b'{"sessions": []}', 0.001)


class Token:
    generation = 0

    def refresh(self) -> bool:
        return False


class Silent:
    """A journal that tells nothing."""

    def settled(self, *_: Any) -> None: ...

    def returned(self, *_: Any) -> None: ...

    def lease_lost(self, *_: Any) -> None: ...

    def paused(self, *_: Any) -> None: ...

    def resumed(self, *_: Any, **__: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class LogSettings:
    log_format: str = "json"
    log_level: str = "info"


def cpu_s() -> float:
    """Return the CPU that this process has used, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def work(
    make: Callable[[AsyncExitStack], Any], journal: Journal, sessions: int, concurrency: int
) -> tuple[float, float]:
    """Work off so many sessions; return wall and CPU microseconds per session, from the first claim on."""
    async with AsyncExitStack() as opened:
        queue: Queue = await make(opened)
        items = [NewItem(SessionId(f"ses_{number:024x}")) for number in range(sessions)]
        for at in range(0, sessions, 5000):
            await queue.add(Batch("bench", items[at : at + 5000]))

        async def idle(paused: bool) -> float | None:
            return None if await queue.next_at() is None else 0.01

        worker = Worker(
            queue=queue,
            api=AtOnce(),
            gate=Gate(concurrency),
            token=Token(),
            rules=Rules(120.0, RetryPolicy(16, 1.0, 600.0), 1e9, 25.0),
            journal=journal,
            idle=idle,
        )
        begun, before = time.perf_counter(), cpu_s()
        await worker.run()
        assert worker.sends == sessions
        return (time.perf_counter() - begun) / sessions * 1e6, (cpu_s() - before) / sessions * 1e6


async def in_memory(opened: AsyncExitStack) -> Queue:
    return MemoryQueue()


async def on_disk(opened: AsyncExitStack) -> Queue:
    folder = opened.enter_context(tempfile.TemporaryDirectory())
    queue, _ = await open_ledger(str(Path(folder, "ledger.db")), create=True, read_only=False, worker=True)
    opened.push_async_callback(queue.close)
    return queue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryFile("w") as file:
        assert isinstance(file, io.TextIOBase)
        logs.configure(LogSettings(), file, secrets=lambda: ("archal_ws_some_token",))
        log = LogJournal()
        print(f"{asked.sessions} sessions, {asked.concurrency} at once, medians of {asked.runs}; µs per session")
        print(f"{'':<36}{'wall':>8}{'CPU':>8}")
        for name, make, journal in (
            ("worker and gate, queue in memory", in_memory, Silent()),
            ("the same, with the log", in_memory, log),
            ("the same, with the ledger, no log", on_disk, Silent()),
            ("all", on_disk, log),
        ):
            took = [anyio.run(work, make, journal, asked.sessions, asked.concurrency) for _ in range(asked.runs)]
            wall, cpu = (statistics.median(figures) for figures in zip(*took, strict=True))
            print(f"{name:<36}{wall:>8.0f}{cpu:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
