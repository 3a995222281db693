"""Runs plans, each in an interpreter of its own, several at once; and makes a failing plan smaller."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from tests.support.simulation.plan import Plan
from tests.support.simulation.simulated import Result

ROOT = Path(__file__).parents[3]
LIMIT_S = 900
"""A plan that takes longer, in real seconds, counts as broken: something spins."""
_SHM = Path("/dev/shm")


def run(plan: Plan, *, with_story: bool = False) -> Result:
    """Run one plan in an interpreter of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("REAPER_", "ARCHAL_"))}
    environ |= {"PYTHONHASHSEED": "0", "TMPDIR": str(_SHM) if os.access(_SHM, os.W_OK) else "/tmp"}
    words = [sys.executable, "-m", "tests.support.simulation.one", *(["--story"] if with_story else [])]
    try:
        done = subprocess.run(
            words, input=plan.to_json(), capture_output=True, text=True, cwd=ROOT, env=environ, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return Result(plan.seed, [f"it did not end within {LIMIT_S} s of real time"])
    try:
        return Result.from_json(done.stdout)
    except ValueError:
        return Result(plan.seed, [f"the simulation itself failed: {done.stderr[-3000:]}"])


def run_all(
    plans: Iterable[Plan],
    jobs: int,
    go_on: Callable[[], bool] = lambda: True,
    run: Callable[[Plan], Result] = run,
) -> Iterator[tuple[Plan, Result]]:
    """Run plans, `jobs` at once, while `go_on`; yield each with its result as it ends."""
    left = iter(plans)
    with ThreadPoolExecutor(jobs) as pool:
        running: dict[Future[Result], Plan] = {}
        while True:
            while len(running) < jobs and go_on() and (plan := next(left, None)) is not None:
                running[pool.submit(run, plan)] = plan
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()


def fails_alike(result: Result, like: str) -> bool:
    """Return whether a plan still breaks what it broke: the same invariant, be it for another session."""
    return any(kind_of(sentence) == like for sentence in result.broken)


def kind_of(sentence: str) -> str:
    """Return an invariant's sentence without times, numbers and names."""
    words = sentence.partition(" s: ")[2].split("\n")[0].split()
    return " ".join(word for word in words if not any(c.isdigit() for c in word))[:160]


def shrink(plan: Plan, result: Result, jobs: int, tries: int = 200, run: Callable[[Plan], Result] = run) -> Plan:
    """Return a smaller plan that breaks the same invariant: fewer faults, then fewer sessions."""
    like = kind_of(result.broken[0])
    for name in ("faults", "sessions"):
        size = max(1, len(getattr(plan, name)) // 2)
        while tries > 0:
            parts = getattr(plan, name)
            starts = range(0, len(parts), size)
            candidates = [replace(plan, **{name: parts[:at] + parts[at + size :]}) for at in starts]
            smaller = None
            for candidate, outcome in run_all(candidates, jobs, run=run):
                tries -= 1
                if fails_alike(outcome, like):
                    smaller = candidate
                    break
            if smaller is not None:
                plan = smaller
                size = min(size, max(1, len(getattr(plan, name)) // 2))
            elif size == 1:
                break
            else:
                size = max(1, size // 2)
            if not getattr(plan, name):
                break
    return plan
