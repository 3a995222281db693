"""What a claim and a settle cost, by how many IDs wait in the queue.

    .venv/bin/python -m bench.depth [--engine sqlite postgres redis] [--depth 10000 1000000]

Fills a queue, then claims 64 at a time and settles them together, as a busy worker does. Wall-clock microseconds per ID
and their ratio to the first depth; the engine runs on this machine with its usual durability.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from reaper.core.model import LeaseResult, Outcome, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from reaper.queues.values import Batch, NewItem
from tests.support.fault.engines import Engine, Postgres, Redis

TOGETHER, PORTION = 64, 5_000
STOPPED = Settle(Outcome.STOPPED)


async def fill(queue: Queue, count: int) -> float:
    """Add IDs; return how many a second."""
    begun = time.perf_counter()
    for start in range(0, count, PORTION):
        items = [NewItem(SessionId(f"ses-01HZX{number:016d}")) for number in range(start, min(start + PORTION, count))]
        await queue.add(Batch("bench", items))
    return count / (time.perf_counter() - begun)


async def work(queue: Queue, count: int) -> float:
    """Claim and settle so many; return microseconds per ID."""
    begun = time.perf_counter()
    for _ in range(count // TOGETHER):
        leases = await queue.claim(TOGETHER, lease_s=120)
        assert len(leases) == TOGETHER
        send = Send(at=time.time(), duration_s=0.05, status=204)
        assert all(await queue.apply([LeaseResult(lease, STOPPED, send) for lease in leases]))
    return (time.perf_counter() - begun) / (count // TOGETHER * TOGETHER) * 1e6


async def measure(url: str, depth: int, sessions: int, runs: int) -> tuple[float, float]:
    opened = await open_queue(url, create=True, read_only=False, worker=True)
    try:
        rate = await fill(opened.queue, depth + sessions * (runs + 1))
        await work(opened.queue, sessions)  # warms caches and plans
        return rate, median([await work(opened.queue, sessions) for _ in range(runs)])
    finally:
        await opened.queue.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--engine", nargs="+", choices=("sqlite", "postgres", "redis"), default=["sqlite", "postgres", "redis"]
    )
    parser.add_argument("--depth", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--sessions", type=int, default=6_400, help="claimed and settled in one run")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.engine:
        first: float | None = None
        for depth in asked.depth:
            with tempfile.TemporaryDirectory(prefix="reaper-depth-") as folder:
                engine: Engine | None = None
                if name != "sqlite":
                    engine = Postgres() if name == "postgres" else Redis(Path(folder))
                try:
                    url = engine.url if engine else f"sqlite://{folder}/ledger.db"
                    rate, cost_us = asyncio.run(measure(url, depth, asked.sessions, asked.runs))
                finally:
                    if engine is not None:
                        engine.close()
            first = first or cost_us
            print(
                f"{name:<9} {depth:>9,} waiting: {cost_us:6.0f} µs per ID, {cost_us / first:.2f} × the first;"
                f" added at {rate:,.0f}/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
