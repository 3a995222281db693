"""Measures the spine: efficiency against the ideal with the ledger on, memory against the size of the file, start-up.

    .venv/bin/python bench/spine.py            all three, about two minutes
    .venv/bin/python bench/spine.py efficiency | memory | start

Every figure is a ratio or a difference within one run; the machine's speed is the run's own. The peer is the obvious
httpx program: one shared AsyncClient, as many tasks as the bound, no ledger.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
CONCURRENCY, LATENCY_S, SESSIONS = 64, 0.1, 6400

PEER = """
import asyncio, sys, httpx
url, token, bound, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
async def main():
    ids = iter(open(path).read().split())
    limits = httpx.Limits(max_connections=bound, max_keepalive_connections=bound)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer " + token}, limits=limits) as client:
        async def work():
            for one in ids:
                (await client.delete("/api/sessions/" + one)).raise_for_status()
        await asyncio.gather(*(work() for _ in range(bound)))
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """One finished process: wall and CPU seconds, peak resident MiB, what it printed."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    code: int
    out: str


def ran(words: list[str], env: dict[str, str], home: Path) -> Ran:
    """Run a process to its end and return its figures."""
    with tempfile.TemporaryFile("w+") as out, (home / "stderr").open("a") as err:
        begun = time.perf_counter()
        process = subprocess.Popen(words, env=env, cwd=home, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        cpu_s = usage.ru_utime + usage.ru_stime
        return Ran(wall_s, cpu_s, usage.ru_maxrss / 1024, process.returncode, out.read())


def environ(home: Path, **settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "ARCHAL_TOKEN": "archal_ws_sandbox", **settings}


@contextmanager
def sandbox(home: Path, *words: str) -> Iterator[str]:
    """Run the stand-in API as a process of its own; yields its address."""
    command = [PYTHON, "-m", "reaper", "sandbox", "--json", "--port", "0", *words]
    process = subprocess.Popen(command, env=environ(home), cwd=home, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait()


def session_ids(n: int) -> list[str]:
    from reaper.sandbox.sessions import generate

    return [session.session_id for session in generate(n, 0)]


def efficiency(home: Path) -> None:
    ideal_s = SESSIONS * LATENCY_S / CONCURRENCY
    path = home / "ids.txt"
    path.write_text("\n".join(session_ids(SESSIONS)) + "\n")
    shares: dict[str, list[float]] = {"reaper": [], "one shared httpx client": []}
    cpu: dict[str, list[float]] = {name: [] for name in shares}
    for turn in range(3):
        for name in shares:
            with sandbox(home, "--sessions", str(SESSIONS), "--latency", f"{LATENCY_S * 1000:.0f}ms") as url:
                env = environ(home, XDG_STATE_HOME=str(home / f"state{turn}"), REAPER_API__BASE_URL=url)
                env["REAPER_WORKER__ADAPTIVE"] = "false"
                words = [PYTHON, "-m", "reaper", "once", "--json", "--concurrency", str(CONCURRENCY), str(path)]
                if name != "reaper":
                    words = [PYTHON, "-c", PEER, url, env["ARCHAL_TOKEN"], str(CONCURRENCY), str(path)]
                done = ran(words, env, home)
            assert done.code == 0, done
            wall_s = json.loads(done.out)["duration_s"] if name == "reaper" else done.wall_s
            shares[name].append(ideal_s / wall_s)
            cpu[name].append(done.cpu_s / SESSIONS * 1e6)
    print(f"{SESSIONS} sessions, concurrency {CONCURRENCY}, {LATENCY_S * 1000:.0f} ms; share of concurrency / latency:")
    for name, found in shares.items():
        print(f"  {name:<24} {statistics.median(found):.2f}   {statistics.median(cpu[name]):>6.0f} µs of CPU a session")


def memory(home: Path) -> None:
    small, large = 1_000, 1_000_000
    peaks: dict[int, float] = {}
    for n in (small, large):
        path = home / f"{n}.txt"
        with path.open("w") as file:
            file.writelines(f"ses-01HZX{i:016d}\n" for i in range(n))
        env = environ(home, XDG_STATE_HOME=str(home / f"memory{n}"))
        done = ran([PYTHON, "-m", "reaper", "add", "--json", "--from", str(path)], env, home)
        assert done.code == 0, done
        peaks[n] = done.peak_mib
        if n == large:
            print(f"import of {n} lines: {n / done.wall_s:.0f} lines/s, start-up included")
    print(f"peak memory: {peaks[small]:.0f} MiB for {small} lines, {peaks[large] - peaks[small]:+.0f} MiB for {large}")


def start(home: Path) -> None:
    empty = home / "empty.txt"
    empty.touch()
    env = environ(home, XDG_STATE_HOME=str(home / "start"), REAPER_API__BASE_URL="http://127.0.0.1:9")
    bare = statistics.median(ran([PYTHON, "-c", "pass"], env, home).wall_s for _ in range(5))
    for words in (["--version"], ["health"], ["once", str(empty)]):
        took = statistics.median(ran([PYTHON, "-m", "reaper", *words], env, home).wall_s for _ in range(5))
        print(f"reaper {words[0]:<10} {took:.3f} s   ({took / bare:.1f} × an empty Python)")


def main() -> None:
    wanted = sys.argv[1:] or ["efficiency", "memory", "start"]
    with tempfile.TemporaryDirectory(prefix="reaper-bench-") as folder:
        for name in wanted:
            {"efficiency": efficiency, "memory": memory, "start": start}[name](Path(folder))


if __name__ == "__main__":
    main()
