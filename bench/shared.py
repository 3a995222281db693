"""Many reapers on one shared queue: how the rate grows with their number.

    .venv/bin/python -m bench.shared [--engine postgres redis] [--reapers 1 2 4] [--seconds 15]

The engine, the server and the reapers share this machine. Each reaper has 128 DELETEs in flight at 500 ms, so 256 a
second at the most; all begin together, when the operator's pause ends. Rates are what the server saw from the first
DELETE to the last answer, ratios are against one reaper.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.clients.process import cpu_of
from bench.served import Served, served
from tests.support.eventually import eventually
from tests.support.fault.engines import Engine, Postgres, Redis

CONCURRENCY, LATENCY_MS = 128, 500
POLL_S = 0.2
IDEAL_PER_S = CONCURRENCY * 1000 / LATENCY_MS


def environ(home: Path, engine: Engine, server: Served) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "XDG_STATE_HOME": str(home),
        "ARCHAL_TOKEN": "archal_ws_sandbox",
        "REAPER_API__BASE_URL": server.url,
        "REAPER_QUEUE__URL": engine.url,
        "REAPER_WORKER__CONCURRENCY": str(CONCURRENCY),
        "REAPER_WORKER__ADAPTIVE": "false",
        "REAPER_TELEMETRY__LISTEN": "",
    }


def reaper(env: dict[str, str], *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "reaper", *words], env=env, check=True, capture_output=True, text=True, **options
    )


def run(engine: Engine, server: Served, home: Path, count: int, seconds: float, prefix: str) -> tuple[float, float]:
    """Stop sessions with `count` reapers; return the rate and the CPU seconds of all reapers per 1,000 sessions."""
    env = environ(home, engine, server)
    sessions = int(IDEAL_PER_S * count * seconds)
    reaper(env, "queue", "init")
    reaper(env, "pause", "--reason", "until all are ready")
    reaper(env, "add", "--from", "-", input="".join(f"{prefix}-{number}\n" for number in range(sessions)))
    running = []
    try:
        for number in range(count):
            log = (home / f"log-{prefix}-{number}").open("w")
            with log:
                running.append(subprocess.Popen([sys.executable, "-m", "reaper", "run"], env=env, stderr=log))
        logs = list(home.glob(f"log-{prefix}-*"))
        eventually(lambda: all(b"api.paused" in log.read_bytes() for log in logs), what="all wait", every_s=POLL_S)
        server.begin()
        spent = cpu_of([process.pid for process in running])
        reaper(env, "resume")
        most_s = seconds * 6 + 30
        eventually(lambda: server.seen(sessions).answered >= sessions, most_s, what="all are stopped", every_s=POLL_S)
        spent = cpu_of([process.pid for process in running]) - spent
        seen = server.seen(sessions)
        return seen.answered / seen.span_s, spent / sessions * 1000
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", nargs="+", choices=("postgres", "redis"), default=["postgres", "redis"])
    parser.add_argument("--reapers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=15.0, help="length of a run at the ideal rate")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.engine:
        with tempfile.TemporaryDirectory(prefix="reaper-shared-") as folder:
            home = Path(folder)
            (home / "engine").mkdir()
            engine: Engine = Postgres() if name == "postgres" else Redis(home / "engine")
            try:
                with served(home, LATENCY_MS, None, None, "own") as server:
                    one: float | None = None
                    for count in asked.reapers:
                        runs = [
                            run(engine, server, home, count, asked.seconds, f"{count}x{turn}")
                            for turn in range(asked.runs)
                        ]
                        rate, cpu_ms = median(each[0] for each in runs), median(each[1] for each in runs)
                        one = one or rate
                        print(
                            f"{name:<9} {count} reapers: {rate:7.1f}/s, {rate / one:.2f} × one,"
                            f" {rate / (IDEAL_PER_S * count):.2f} of the ideal, {cpu_ms:.2f} ms of CPU a session",
                            flush=True,
                        )
            finally:
                engine.close()


if __name__ == "__main__":
    main()
