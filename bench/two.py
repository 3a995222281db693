"""Two workers on one ledger: how fast they are together beside one alone, and whether each gets its share.

    .venv/bin/python -m bench.two [--sessions 40000] [--concurrency 256] [--runs 5]

Each worker is a process with everything but the network: an API that answers at once, the ledger on disk, the log
into a file. One worker on a core of its own and two on two cores take turns; medians, and the shares of the two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.parts import NOW_S, TOKEN, LogSettings, Run, ledger_of, work_off
from reaper.cli.context import run_async
from reaper.telemetry import logs


async def _fill(path: str, sessions: int) -> int:
    async with ledger_of(path, sessions):
        return sessions


async def _work(path: str, concurrency: int) -> int:
    async with ledger_of(path, 0) as queue:
        return await work_off(Run(0, concurrency, NOW_S, log=True), queue, [])


def _one_run(workers: int, sessions: int, concurrency: int, cores: list[int]) -> tuple[float, list[int]]:
    """Return sessions a second and how many each worker stopped."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "ledger.db"))
        run_async(_fill, path, sessions)
        command = (sys.executable, "-m", "bench.two", "--worker", path, "--concurrency", str(concurrency))
        processes = [
            subprocess.Popen(
                [*command, "--core", str(cores[number % len(cores)])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(workers)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        begun = time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        done = [int(process.communicate()[0]) for process in processes]
        return sessions / (time.monotonic() - begun), done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=40_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        os.sched_setaffinity(0, {asked.core})
        print("ready", flush=True)
        sys.stdin.readline()
        with tempfile.TemporaryFile("w") as file:
            logs.configure(LogSettings(), file, secrets=lambda: (TOKEN,))
            print(run_async(_work, asked.worker, asked.concurrency, fast=True), flush=True)
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    rates: dict[int, list[float]] = {1: [], 2: []}
    shares: list[float] = []
    for _ in range(asked.runs):
        for workers in (1, 2):
            rate, done = _one_run(workers, asked.sessions, asked.concurrency, cores)
            rates[workers].append(rate)
            if workers == 2:
                shares.append(100 * min(done) / sum(done))
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    print(f"one worker {one:,.0f}/s; two {two:,.0f}/s together, {two / one:.2f} times as many")
    print("the smaller share of each run:", ", ".join(f"{share:.0f} %" for share in shares))


if __name__ == "__main__":
    main()
