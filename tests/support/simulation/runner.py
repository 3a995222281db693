"""Runs plans, several at once; and makes a failing plan smaller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue

from tests.support.simulation.plan import Plan
from tests.support.simulation.simulated import Result

ROOT = Path(__file__).parents[3]
LIMIT_S = 900
"""A plan that takes longer, in real seconds, counts as broken: something spins."""
_SHM = Path("/dev/shm")


class Interpreter:
    """A process that runs one plan after the other, each in a fork of its own. Begun when it is first used."""

    def __init__(self, limit_s: int = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()  # it ends with its input

    def run(self, plan: Plan, *, with_story: bool = False) -> Result:
        """Run one plan."""
        process = self._process = self._process or _begin()
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"plan": asdict(plan), "story": with_story, "limit_s": self._limit_s}
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return Result.from_json(process.stdout.readline())
        except (ValueError, BrokenPipeError):
            self._process = None
            return Result(plan.seed, [f"the simulation itself failed, with exit code {process.wait()}: see stderr"])


def _begin() -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("REAPER_", "ARCHAL_"))}
    environ |= {"PYTHONHASHSEED": "0", "TMPDIR": str(_SHM) if os.access(_SHM, os.W_OK) else "/tmp"}
    words = [sys.executable, "-m", "tests.support.simulation.one"]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ, start_new_session=True
    )


class Interpreters:
    """So many interpreters as run plans at once."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._idle: SimpleQueue[Interpreter] = SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> Interpreters:
        for _ in range(self.jobs):
            self._idle.put(self._stack.enter_context(Interpreter()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, plan: Plan) -> Result:
        """Run one plan in an interpreter that has nothing to do; called by threads, at most as many as there are."""
        interpreter = self._idle.get()
        try:
            return interpreter.run(plan)
        finally:
            self._idle.put(interpreter)


def run_all(
    plans: Iterable[Plan],
    jobs: int,
    run: Callable[[Plan], Result],
    go_on: Callable[[], bool] = lambda: True,
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


def shrink(plan: Plan, result: Result, jobs: int, run: Callable[[Plan], Result], tries: int = 200) -> Plan:
    """Return a smaller plan that breaks the same invariant: fewer faults, then fewer sessions."""
    like = kind_of(result.broken[0])
    for name in ("faults", "sessions"):
        size = max(1, len(getattr(plan, name)) // 2)
        while tries > 0:
            parts = getattr(plan, name)
            starts = range(0, len(parts), size)
            candidates = [replace(plan, **{name: parts[:at] + parts[at + size :]}) for at in starts]
            smaller = None
            for candidate, outcome in run_all(candidates, jobs, run):
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
