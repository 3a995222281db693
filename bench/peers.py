"""reaper beside its peers: the same sessions, the same server, one run.

    .venv/bin/python -m bench.peers --list
    .venv/bin/python -m bench.peers --quick
    .venv/bin/python -m bench.peers --json peers.json --markdown docs/performance-peers.md --plot docs/img/peers.svg
    .venv/bin/python -m bench.peers --only 'tls/256/0ms/*' 'plain/*/50ms/reaper*'

Each cell is a concurrency and a latency, plain or over TLS; its clients take turns at one server. Rates and shares are
what the server saw from the first DELETE to the last answer. CPU is the client's, user and system, without what a run
over one session costs. With two cores or more the server has one, the client another, so that neither takes from the
other: the client's rate is what it does on one core. `--free` leaves both to the scheduler.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Any

from bench import plot, table
from bench.clients.kinds import CLIENTS, Client, Job
from bench.clients.process import Ran, cpu_of, ran
from bench.served import HOST, Certificate, Seen, Served, certified, served

MAX_SESSIONS = 50_000
MIN_ROUNDS = 8
"""A client gets so many sessions for each one in flight, at least: the first round tells of connecting, not of it."""


@dataclass(frozen=True, slots=True)
class Cell:
    scheme: str
    concurrency: int
    latency_ms: int

    @property
    def name(self) -> str:
        return f"{self.scheme}/{self.concurrency}/{self.latency_ms}ms"

    def clients(self) -> list[Client]:
        """Return who takes part here, whether or not it is installed."""
        return [one for one in CLIENTS if self.concurrency <= one.widest and (one.plain or self.scheme == "tls")]

    def sessions(self, client: Client, seconds: float) -> int:
        """Return how many sessions take about so long."""
        count = MAX_SESSIONS * seconds / 10
        if self.latency_ms:
            rounds = max(MIN_ROUNDS, seconds * 1000 / self.latency_ms)
            count = min(count, rounds * self.concurrency)
        return int(max(min(count, client.rate * seconds), MIN_ROUNDS * self.concurrency))


def cells() -> list[Cell]:
    grid = [(p, ms) for ms in (0, 50, 500) for p in (32, 256, 1000)] + [(64, 100)]
    return [Cell(scheme, *each) for scheme in ("plain", "tls") for each in grid]


class Bench:
    """Runs clients and keeps a record of each run."""

    def __init__(self, home: Path, asked: argparse.Namespace) -> None:
        self.home, self.asked = home, asked
        self.records: list[dict[str, Any]] = []
        self.certificate: Certificate = certified(home)
        self.core: int | None = None
        self._startup_s: dict[tuple[str, str], float] = {}
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1 and not asked.free:
            self.core = cores[0]
            os.sched_setaffinity(0, {cores[1]})

    def cell(self, cell: Cell, clients: list[Client]) -> None:
        certificate = self.certificate if cell.scheme == "tls" else None
        with served(self.home, cell.latency_ms, certificate, self.core, self.asked.server) as server:
            for client in clients:
                if (cell.scheme, client.name) not in self._startup_s:
                    once = [self.run(client, server, 1, 1)[0] for _ in range(3)]
                    self._startup_s[cell.scheme, client.name] = median(each.cpu_s for each in once)
            gone: set[str] = set()  # once was enough
            for turn in range(self.asked.runs):
                for client in clients:
                    if client.name not in gone:
                        self.measure(cell, client, server, turn)
                        if self.records[-1]["state"] != "complete":
                            gone.add(client.name)

    def measure(self, cell: Cell, client: Client, server: Served, turn: int) -> None:
        sessions = cell.sessions(client, self.asked.seconds)
        busy_s = cpu_of([server.pid])
        done, seen = self.run(client, server, cell.concurrency, sessions)
        busy_s = cpu_of([server.pid]) - busy_s
        startup_s = self._startup_s[cell.scheme, client.name]
        complete = done.code == 0 and seen.answered >= sessions
        # Between its bursts a client that is cut off may have done nothing for long: its span is all it had.
        span_s = self.asked.limit_s if done.cut else seen.span_s
        rate = seen.answered / span_s if span_s else 0.0
        # A run that cost little more than its start-up says nothing of what a session costs.
        known = seen.answered and done.cpu_s > 1.3 * startup_s
        record = {
            **asdict(cell),
            "cell": cell.name,
            "client": client.name,
            "http": client.version,
            "server": server.name,
            "turn": turn,
            "sessions": sessions,
            "answered": seen.answered,
            "state": "complete" if complete else "cut off" if done.cut else "failed",
            "span_s": span_s,
            "rate_per_s": rate,
            "share": rate * cell.latency_ms / 1000 / cell.concurrency if cell.latency_ms else None,
            "cpu_us": (done.cpu_s - startup_s) / seen.answered * 1e6 if known else None,
            "startup_cpu_s": startup_s,
            # Of xargs itself; its children are not looked at.
            "peak_mib": None if client.needs == "xargs" else done.peak_mib,
            "server_busy": busy_s / span_s if span_s else None,
            "client_busy": (done.cpu_s - startup_s) / span_s if span_s else None,
            "held_ms": seen.held_s * 1000,
            "peak_in_flight": seen.peak_in_flight,
            "connections": seen.connections,
        }
        self.records.append(record)
        cost, peak = table.number(record["cpu_us"], ",.0f"), table.number(record["peak_mib"], ".0f")
        told = f"{cell.name:<16} {client.name:<20} {rate:>9,.0f}/s {cost:>8} µs {peak:>6} MiB {record['state']}"
        print(told, file=sys.stderr, flush=True)
        if record["state"] == "failed":
            print(f"  exit {done.code}, {seen.answered} of {sessions}: {done.err[-400:]}", file=sys.stderr, flush=True)

    def run(self, client: Client, server: Served, concurrency: int, sessions: int) -> tuple[Ran, Seen]:
        ids = self.home / f"ids-{sessions}"
        if not ids.exists():
            ids.write_text("".join(f"ses-01HZX{number:016d}\n" for number in range(sessions)))
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            job = Job(server.url, HOST, server.port, server.authority, concurrency, ids, Path(folder))
            command = client.command(job)
            env = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder, **command.env}
            server.begin()
            done = ran(command.words, env, job.home, self.asked.limit_s, command.stdin)
            return done, server.seen(sessions)


def chosen(asked: argparse.Namespace) -> Iterator[tuple[Cell, list[Client]]]:
    """Yield the cells and clients that the flags ask for and this machine has."""
    for cell in cells():
        if asked.quick and not asked.only and (cell.concurrency, cell.latency_ms) not in ((256, 0), (256, 50)):
            continue
        found = [
            client
            for client in cell.clients()
            if not asked.only or any(fnmatchcase(f"{cell.name}/{client.name}", glob) for glob in asked.only)
        ]
        if found:
            yield cell, [client for client in found if not client.missing()]


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="256 at once, 0 and 50 ms, once, for 2 s each")
    parser.add_argument(
        "--only", nargs="+", metavar="GLOB", help="cells and clients, as SCHEME/CONCURRENCY/LATENCYms/CLIENT"
    )
    parser.add_argument("--runs", type=int, help="turns of each client (5; with --quick 1)")
    parser.add_argument("--seconds", type=float, help="length of one run at the ideal rate (10; with --quick 2)")
    parser.add_argument("--limit-s", type=float, help="a client that takes longer is cut off (60; with --quick 20)")
    parser.add_argument(
        "--server", choices=("auto", "own", "nginx"), default="auto", help="auto: nginx for TLS at 0 ms"
    )
    parser.add_argument("--free", action="store_true", help="pin nothing to a core")
    parser.add_argument("--list", action="store_true", help="list what would run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page of tables")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the plot (SVG)")
    return parser


def main() -> None:
    asked = options().parse_args()
    asked.runs = asked.runs or (1 if asked.quick else 5)
    asked.seconds = asked.seconds or (2.0 if asked.quick else 10.0)
    asked.limit_s = asked.limit_s or (20.0 if asked.quick else 60.0)
    plan = list(chosen(asked))
    if asked.list:
        for cell, clients in plan:
            for client in clients:
                print(f"{cell.name}/{client.name}: {cell.sessions(client, asked.seconds)} sessions")
        return
    absent = [client.name for client in CLIENTS if client.missing()]
    with suppress(ValueError):  # 1,000 connections and a little
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < 65536 and hard != -1 else 65536, hard))
    with tempfile.TemporaryDirectory(prefix="reaper-peers-") as folder:
        bench = Bench(Path(folder), asked)
        for cell, clients in plan:
            bench.cell(cell, clients)
    result = {
        "about": table.about(sys.argv[1:], asked.runs, bench.core is not None, absent),
        "runs": bench.records,
    }
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n")
    page = table.page(result, plot=asked.plot, at=asked.markdown)
    print(page)
    if asked.markdown:
        asked.markdown.write_text(page + "\n")
    if asked.plot:
        asked.plot.parent.mkdir(parents=True, exist_ok=True)
        asked.plot.write_text(plot.svg(result))


if __name__ == "__main__":
    main()
