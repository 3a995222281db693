"""How cost and memory grow: with what is in flight, and with what is in the file.

    .venv/bin/python -m bench.growth [cost] [memory] [file] [--runs 3] [--json FILE]

cost: CPU of a session at 32 and at 1,000 in flight, ledger and log on, start-up left out. memory: the peak with 1,000
in flight at 500 ms, where the server saw so many. file: the peak of taking in a file and stopping its first sessions,
for a small and a large file; the large one needs about 3 GB in the temporary folder and some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.clients.kinds import CLIENTS, Client, Job
from bench.clients.process import Ran, ran
from bench.served import HOST, Certificate, Seen, Served, certified, served

WAYS = (("plain", "reaper"), ("tls", "reaper"), ("tls", "reaper h2"))


class Growth:
    """Runs reaper and tells what it took."""

    def __init__(self, home: Path, asked: argparse.Namespace) -> None:
        self.home, self.asked = home, asked
        self.certificate: Certificate = certified(home)
        self.clients: dict[str, Client] = {client.name: client for client in CLIENTS}
        self.results: list[dict[str, Any]] = []
        cores = sorted(os.sched_getaffinity(0))
        self.core = cores[0] if len(cores) > 1 else None
        if self.core is not None:
            os.sched_setaffinity(0, {cores[1]})

    @contextmanager
    def server(self, scheme: str, latency_ms: float) -> Iterator[Served]:
        certificate = self.certificate if scheme == "tls" else None
        with served(self.home, latency_ms, certificate, self.core) as server:
            yield server

    def run(
        self, name: str, server: Served, concurrency: int, count: int, limit: int | None = None
    ) -> tuple[Ran, Seen]:
        """Stop sessions; everything of them must have been answered."""
        ids = self.home / f"ids-{count}"
        if not ids.exists():
            with ids.open("w") as file:
                file.writelines(f"ses-01HZX{number:016d}\n" for number in range(count))
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            job = Job(server.url, HOST, server.port, server.authority, concurrency, ids, Path(folder))
            command = self.clients[name].command(job)
            words = [*command.words, *(["--limit", str(limit)] if limit else [])]
            server.begin()
            env = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder, **command.env}
            done = ran(words, env, job.home, self.asked.limit_s)
            expected = min(count, limit or count)
            seen = server.seen(expected)
        told = f"exit {done.code}, {seen.answered} of {expected}: {done.err}"
        assert seen.answered >= expected, told
        assert not done.cut, told
        return done, seen

    def tell(self, text: str, **figures: Any) -> None:
        self.results.append(figures)
        print(text, flush=True)

    def cost(self) -> None:
        """Tell by how much a session costs more when many are in flight."""
        few, many, count = 32, 1000, self.asked.sessions
        for scheme, name in WAYS:
            with self.server(scheme, self.asked.latency_ms) as server:
                spent: dict[int, list[float]] = {few: [], many: []}
                startup_s = median(self.run(name, server, 1, 1)[0].cpu_s for _ in range(3))
                for _ in range(self.asked.runs):
                    for bound in spent:
                        done, _ = self.run(name, server, bound, count)
                        spent[bound].append((done.cpu_s - startup_s) / count * 1e6)
                low, high = median(spent[few]), median(spent[many])
                self.tell(
                    f"cost, {scheme}, {name}: {low:.0f} µs at {few}, {high:.0f} µs at {many}: {high / low - 1:+.0%}"
                    f"  (wanted: < +25 %; {server.name}, {self.asked.latency_ms:g} ms)",
                    what="cost", scheme=scheme, client=name, few_us=low, many_us=high, growth=high / low - 1,
                )  # fmt: skip

    def memory(self) -> None:
        """Tell the peak with a thousand in flight."""
        bound = 1000
        for scheme, name in WAYS:
            with self.server(scheme, 500) as server:
                peaks, widest = [], []
                for _ in range(self.asked.runs):
                    done, seen = self.run(name, server, bound, max(4 * bound, self.asked.sessions // 5))
                    peaks.append(done.peak_mib)
                    widest.append(seen.peak_in_flight or 0)
                self.tell(
                    f"memory, {scheme}, {name}: {median(peaks):.0f} MiB with {min(widest)} in flight"
                    f"  (wanted: ≤ 110 MiB with {bound})",
                    what="memory", scheme=scheme, client=name, peak_mib=median(peaks), in_flight=min(widest),
                )  # fmt: skip

    def file(self) -> None:
        """Tell the peak for a small file and for a large one of which no more than a part is stopped."""
        with self.server("plain", 0) as server:
            small, large, limit = self.asked.small, self.asked.large, self.asked.limit
            peaks = {count: self.run("reaper", server, 256, count, limit)[0].peak_mib for count in (small, large)}
            self.tell(
                f"file: {peaks[small]:.0f} MiB for {small:,} IDs, {peaks[large]:.0f} MiB for {large:,}, the first "
                f"{limit:,} stopped: {peaks[large] - peaks[small]:+.0f} MiB  (wanted: ± 10 MiB)",
                what="file", small=small, large=large, stopped=limit, small_mib=peaks[small], large_mib=peaks[large],
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[[], "cost", "memory", "file"], metavar="cost|memory|file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=50_000, help="sessions of one run of `cost` (50,000)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of `cost`; 0 keeps the most in flight")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--limit", type=int, default=100_000)
    parser.add_argument("--limit-s", type=float, default=1800.0, help="a run that takes longer is an error")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reaper-growth-") as folder:
        growth = Growth(Path(folder), asked)
        for name in asked.which or ["cost", "memory", "file"]:
            {"cost": growth.cost, "memory": growth.memory, "file": growth.file}[name]()
        if asked.json:
            asked.json.write_text(json.dumps(growth.results, indent=1) + "\n")


if __name__ == "__main__":
    main()
