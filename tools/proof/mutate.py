"""Counts the small mistakes that the tests notice: puts mutants into the pure core and the queues, one after the other.

    python -m tools.proof.mutate [--rooms ROOM…] [--sample N] [--seed N]

The tests are imported once. A first child runs them all and writes down which of them runs which line, and how long it
takes. Then each mutant gets a child of its own: forked, the mutant put in, the tests that run its line, the fastest
first, until one fails. The servers of the queues run all the time; the files of the tree are never touched.

No tool maintained by others does this as fast: mutmut takes twice the CPU per mutant and skips decorated functions,
Cosmic Ray takes ten times as much. docs/decisions/mutation-engine.md has the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tools.proof import forks, outcome, survivors
from tools.proof.live import functions
from tools.proof.mutants import Mutant, find
from tools.proof.prove import ROOT, copy_tree, run_tests

KEPT = ".mutants"
"""What is kept between runs: the map of lines to tests, for as long as no file changes; the results."""
AT_ONCE = 3
MAX_S = 60.0
"""A mutant's tests are those that fit into so much time, the fastest first."""
MAX_IN_A_COPY = 200
SLOW_S = 40.0
"""A test that takes longer is not run."""
EXAMPLES = 40
MACHINE_EXAMPLES = 6
NOT_RUN = (
    "--ignore=tests/repo/test_mutants.py",
    "--ignore=tests/repo/test_proof.py",
    "--ignore=tests/repo/test_docs.py",
)
"""They are about this program, and about texts."""
PURE = ("tests/unit", "tests/property")
QUEUES = (
    "tests/contract",
    *(f"tests/integration/test_{name}.py" for name in ("queue_open", "local_positions")),
)
ENGINES = {"sqlite": "test_sqlite*", "postgres": "test_postgres*", "redis": "test_redis*"}
ROOMS = ("core", "shared", "sqlite", "postgres", "redis")
SAMPLED = {"postgres": 60, "redis": 60}
"""Mutants of a room that are tried by default: their tests wait for a server."""


def room_of(path: str) -> str:
    """Return the room of a file: the core, a back-end, or what all back-ends share."""
    room, folder = Path(path).parts[1:3]
    if room == "core":
        return "core"
    return folder if folder in ROOMS else "shared"


def files(root: Path) -> list[str]:
    """Return the files that get mutants."""
    found = [*(root / "reaper/core").rglob("*.py"), *(root / "reaper/queues").rglob("*.py")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def chosen(
    root: Path, rooms: Sequence[str], sample: int | None, seed: int
) -> tuple[dict[str, list[Mutant]], Counter[str]]:
    """Return the mutants of each room that are to be tried, and how many there are."""
    every: dict[str, list[Mutant]] = {room: [] for room in rooms}
    for path in files(root):
        if (room := room_of(path)) in every:
            every[room] += find(path, (root / path).read_bytes())
    some = {}
    for room, found in every.items():
        most = SAMPLED.get(room, 0) if sample is None else sample
        kept = found if not most or most >= len(found) else random.Random(f"{seed} {room}").sample(found, most)
        some[room] = sorted(kept, key=lambda one: (one.path, one.start, one.end, one.new))
    return some, Counter({room: len(found) for room, found in every.items()})


class Run:
    """The plugin of pytest that, instead of running the tests, tries the mutants with them."""

    def __init__(self, mutants: Sequence[Mutant], lines: Path) -> None:
        self._rooms = {room_of(one.path) for one in mutants}
        self.results: list[outcome.Result] = []
        self._mutants = mutants
        self._lines = lines

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the tests of engines that are not asked for; make those of properties short and always the same."""
        others = [engine for engine in ("postgres", "redis") if not {engine, "shared"} & self._rooms]
        items[:] = [item for item in items if not any(engine in item.nodeid.lower() for engine in others)]
        for item in items:
            _shorten(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants."""
        paths = files(ROOT)
        for path in paths:
            __import__(path.removesuffix(".py").replace("/", "."))
        _start_servers(session.items)
        with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
            forker = forks.Forker(session, Path(directory), functions(ROOT, paths))
            table = self._table(forker, paths)
            self._try(forker, table)
        return True

    def _table(self, forker: forks.Forker, paths: Sequence[str]) -> outcome.Table:
        """Return which tests run which line; only those of files that changed are run for it."""
        base = _digest_of_the_rest()
        kept = json.loads(self._lines.read_text()) if self._lines.exists() else {}
        had: dict[str, Any] = kept["tests"] if kept.get("base") == base else {}
        had = {name: one for name, one in had.items() if _digest(name) == one["digest"]}
        new = [name for name in forker.names if name not in had or had[name]["failed"]]
        begun = time.monotonic()
        if new:
            print(f"{len(new)} tests are run once, to see which of them runs which line", flush=True)
            for name, ran in forker.measure(ROOT, paths, new).items():
                had[name] = {"digest": _digest(name), **ran}
            self._lines.parent.mkdir(exist_ok=True)
            self._lines.write_text(json.dumps({"base": base, "tests": had}))
            print(f"done in {time.monotonic() - begun:.0f} s", flush=True)
        table = outcome.Table.of({name: had[name] for name in forker.names})
        for name in table.failed:
            print(f"left out, as it fails without a mutant: {name}")
        return table

    def _try(self, forker: forks.Forker, table: outcome.Table) -> None:
        begun = time.monotonic()
        work = [(one, table.tests_of(one, MAX_S, SLOW_S, ROOT, self._tests(one))) for one in self._mutants]
        for number, result in enumerate(forker.run(work, table.times, AT_ONCE, ROOT), 1):
            self.results.append(result)
            if result.end in (outcome.SURVIVED, outcome.NOT_RUN):
                print(f"{result.end:9} {result.mutant}", flush=True)
            if number % 100 == 0:
                print(f"          {number} of {len(work)} in {time.monotonic() - begun:.0f} s", flush=True)

    @staticmethod
    def _tests(one: Mutant) -> tuple[str, ...]:
        return PURE if room_of(one.path) == "core" else ("tests/",)


def _shorten(item: pytest.Item) -> None:
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)
    case: Any = getattr(item.parent, "obj", None)
    machine = getattr(case, "settings", None)
    if isinstance(machine, settings):
        most = min(machine.max_examples, MACHINE_EXAMPLES)
        case.settings = settings(machine, max_examples=most, derandomize=True, database=None, phases=phases)
        return
    test: Any = getattr(item, "obj", None)
    if getattr(test, "is_hypothesis_test", False):
        had = getattr(test, "_hypothesis_internal_use_settings", None) or settings()
        most = min(had.max_examples, EXAMPLES)
        short = settings(had, max_examples=most, derandomize=True, database=None, deadline=None, phases=phases)
        test._hypothesis_internal_use_settings = short


def _start_servers(items: Iterable[pytest.Item]) -> None:
    """Start the engines here, once: a child has them by inheritance and ends without stopping them."""
    names = " ".join(item.nodeid for item in items)
    if "postgres" in names:
        from tests.support.queues.postgres_server import session_server

        session_server()
    if "redis" in names:
        from tests.support.queues.redis_server import shared_server

        shared_server()


def _digest_of_the_rest() -> str:
    """Return a digest of all that the tests rely on and that is no test itself."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "reaper", "tests", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    digest = hashlib.sha256()
    for name in filter(None, listed):
        is_test = Path(name).name.startswith("test_") or name.startswith("tools/proof/")
        if not is_test and (ROOT / name).is_file():
            digest.update(name.encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()


def _digest(test: str) -> str:
    """Return the digest of a test's file."""
    return _digest_of(ROOT / test.partition("::")[0])


@cache
def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def in_a_copy(results: list[outcome.Result]) -> list[outcome.Result]:
    """Try what can't be put into a running process in a copy of the tree, with a pytest of its own.

    So too what runs at import and survived: what the tests had made of it by then stayed as it was.
    """
    odd = [
        one for one in results if one.end == outcome.ELSEWHERE or (one.end == outcome.SURVIVED and not one.mutant.scope)
    ]
    if not odd:
        return results
    print(f"{len(odd)} that change what runs at import are tried once more in a copy of the tree", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        tree = Path(directory).resolve()
        copy_tree(ROOT, tree)
        ends = {}
        for one in odd:
            before = (tree / one.mutant.path).read_bytes()
            (tree / one.mutant.path).write_bytes(one.mutant.applied(before))
            try:
                seen, _ = run_tests(tree, one.tests[:MAX_IN_A_COPY], "-x", "-p", "no:xdist")
                failed = next((each.test for each in seen if each.outcome == "failed"), "" if seen else "at import")
            except subprocess.TimeoutExpired:
                failed = "a timeout"
            (tree / one.mutant.path).write_bytes(before)
            ends[one.mutant] = outcome.Result(
                one.mutant, outcome.KILLED if failed else outcome.SURVIVED, failed, one.tests
            )
            if not failed:
                print(f"{outcome.SURVIVED:9} {one.mutant}", flush=True)
    return [ends.get(one.mutant, one) for one in results]


def tests_for(rooms: Sequence[str]) -> list[str]:
    """Return the files and directories of tests that could notice a mutant of these rooms."""
    paths: list[str] = list(PURE)
    if set(rooms) - {"core"}:
        paths += QUEUES
        for room, pattern in ENGINES.items():
            if {room, "shared"} & set(rooms):
                found = sorted((ROOT / "tests/integration").glob(f"{pattern}.py"))
                paths += [path.relative_to(ROOT).as_posix() for path in found]
    return paths


def main(arguments: Sequence[str]) -> int:
    """Try the mutants; write docs/mutants.md anew. Return 1 when a survivor is not in the list of the equivalent."""
    parser = argparse.ArgumentParser(prog="python -m tools.proof.mutate")
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--sample", type=int, help="how many mutants of each room; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--left", action="store_true", help="try only what was left the last time; for new tests")
    asked = parser.parse_args(arguments)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    begun = time.monotonic()
    some, totals = chosen(ROOT, asked.rooms, asked.sample, asked.seed)
    kept = ROOT / KEPT
    for room, found in some.items():
        if asked.left:
            again = survivors.left(kept, room)
            found[:] = [one for one in found if one.key in again]
        print(f"{room}: {len(found)} of {totals[room]} mutants, seed {asked.seed}", flush=True)
    run = Run([one for found in some.values() for one in found], kept / "lines.json")
    words = ["-q", "--no-header", "--no-summary", "-p", "no:xdist", "--timeout", "0", *NOT_RUN, *tests_for(asked.rooms)]
    code = pytest.main(words, plugins=[run])
    if len(run.results) != sum(map(len, some.values())):
        raise SystemExit(f"pytest ended with {code}")
    results = in_a_copy(run.results)
    for room in some:
        its = [one for one in results if room_of(one.mutant.path) == room]
        survivors.keep(kept, room, its, totals[room], asked.seed, more=asked.left)
    print(f"in {time.monotonic() - begun:.0f} s")
    return survivors.write(kept, ROOT, ROOMS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
