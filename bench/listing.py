"""Time and memory of `reaper list`, and of orders over all that it lists, over a deep queue.

    .venv/bin/python -m bench.listing [--engine sqlite postgres redis] [--count 1000000]

Fills a queue: half of the IDs ready, half scheduled, some retrying, a thousandth from another file. Then it runs the
command as a user does, its output into a file: peak memory and seconds of the command, start-up included. The engine
runs on this machine with its usual durability. `sessions` lists 20,000 sessions of a stand-in API beside this queue.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.clients.process import ran
from bench.spine import environ, sandbox
from reaper.core.model import LeaseResult, Retry, Send, SessionId
from reaper.queues.base import MAX_RESULTS, Queue
from reaper.queues.open import open_queue
from reaper.queues.values import Batch, NewItem
from tests.support.fault.engines import Engine, Postgres, Redis

PORTION, RETRYING, RARE = 5_000, 10_000, 1_000
SESSIONS = 20_000
HOUR_S = 3_600.0
COMMANDS: tuple[Sequence[str], ...] = (
    ("status", "--json"),
    ("audit",),
    ("list", "--limit", "20"),
    ("sessions", "--json"),
    ("list", "--json"),
    ("list",),
    ("list", "--json", "--source", "rare"),
    ("list", "--json", "--state", "retrying"),
    ("list", "--json", "--due-within", "5m"),
    ("postpone", "--source", ".ids", "--after", "1h", "--yes"),
    ("cancel", "--source", ".ids", "--reason", "bench", "--yes"),
    ("outcomes", "--csv"),
)


async def fill(queue: Queue, count: int) -> None:
    """Add the IDs, and let the first sends of some fail."""
    begun = time.time()
    for start in range(0, count, PORTION):
        numbers = range(start, min(start + PORTION, count))
        for source, chosen in (("/srv/many.ids", lambda n: n % RARE), ("/srv/rare.ids", lambda n: not n % RARE)):
            items = [
                NewItem(SessionId(f"ses-01HZX{n:016d}"), None if n % 2 else begun + HOUR_S + n / 100)
                for n in numbers
                if chosen(n)
            ]
            await queue.add(Batch(source, items))
    for _ in range(min(RETRYING, count // 4) // MAX_RESULTS):
        send = Send(at=time.time(), duration_s=0.05, status=503)
        leases = await queue.claim(MAX_RESULTS, lease_s=120)
        await queue.apply([LeaseResult(lease, Retry(2 * HOUR_S), send) for lease in leases])


async def filled(url: str, count: int) -> None:
    opened = await open_queue(url, create=True, read_only=False, worker=True)
    try:
        await fill(opened.queue, count)
    finally:
        await opened.queue.close()


def measure(name: str, url: str, home: Path, commands: Sequence[Sequence[str]], limit_s: float, api: str) -> None:
    env = environ(home, REAPER_QUEUE__URL=url, REAPER_API__BASE_URL=api)
    for words in commands:
        begun = time.perf_counter()
        done = ran([sys.executable, "-m", "reaper", *words], env, home, limit_s)
        took_s = time.perf_counter() - begun
        assert not done.cut, f"it took more than {limit_s:g} s"
        assert done.code == 0, done.err
        lines = done.out.count("\n")
        print(
            f"{name:<9} {' '.join(words):<42} {lines:>9,} lines  {took_s:6.1f} s  {done.cpu_s:6.1f} s of CPU"
            f"  {done.peak_mib:4.0f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engines = ("sqlite", "postgres", "redis")
    parser.add_argument("--engine", nargs="+", choices=engines, default=list(engines))
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", help="of the commands, those that begin with one of these words")
    parser.add_argument("--limit-s", type=float, default=600.0, help="a command that takes longer is an error")
    asked = parser.parse_args()
    for name in asked.engine:
        with tempfile.TemporaryDirectory(prefix="reaper-listing-") as folder:
            engine: Engine | None = None
            if name != "sqlite":
                engine = Postgres() if name == "postgres" else Redis(Path(folder))
            try:
                url = engine.url if engine else f"sqlite://{folder}/ledger.db"
                asyncio.run(filled(url, asked.count))
                with sandbox(Path(folder), "--sessions", str(SESSIONS)) as api:
                    chosen = [
                        words for words in COMMANDS if not asked.only or " ".join(words).startswith(tuple(asked.only))
                    ]
                    measure(name, url, Path(folder), chosen, asked.limit_s, api)
            finally:
                if engine is not None:
                    engine.close()


if __name__ == "__main__":
    main()
