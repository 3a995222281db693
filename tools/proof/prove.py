"""Shows that the tests can fail: plants each bug in a copy of the tree, and requires its tests to turn red.

    python -m tools.proof.prove [NAME…]

First the tests of all bugs must pass in the untouched copy. Then, bug by bug: plant, run its tests and no others, take
out. A bug is caught when each of its tests fails because something was not as it must be; a test that could not run at
all proves nothing. When all are caught, the table in docs/proof.md is written anew. The checkout itself is not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.proof import verdicts
from tools.proof.bugs import BUGS
from tools.proof.planted import Bug, DoesNotApplyError, changed, with_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/proof.md"
RUN_S = 300.0
"""How long one run of pytest may take; no single test may take a fifth of it."""
_LEFT_OUT = (".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis", "dist", "build")


@dataclass(frozen=True, slots=True)
class Seen:
    """How one phase of one test ended: `kind` says why it failed, `unmet` being the good reason."""

    test: str
    when: str
    outcome: str
    kind: str


def copy_tree(root: Path, target: Path) -> None:
    """Copy what belongs to the tree, changes that are not committed included; nothing that was built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # an unpacked archive
        shutil.copytree(root, target, ignore=shutil.ignore_patterns(*_LEFT_OUT), dirs_exist_ok=True)
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():  # else it was deleted, and that is not committed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def run_tests(tree: Path, tests: Iterable[str], *options: str) -> tuple[list[Seen], str]:
    """Run tests of a tree; return how they ended, and what pytest printed."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        words = ["-q", "-p", verdicts.__name__, "--timeout", str(RUN_S / 5), *options, *dict.fromkeys(tests)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            cwd=tree,
            env=_environ(tree) | {verdicts.FILE: file.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        return [Seen(**json.loads(line)) for line in file], done.stdout


def _environ(tree: Path) -> dict[str, str]:
    # No bytecode: a file that changes twice within a second could be taken for what it was before.
    return {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def passed(test: str, seen: Sequence[Seen]) -> str:
    """Return what an untouched tree makes of a test: `passed`, `skipped`, or what is wrong."""
    its = [one for one in seen if _is_of(test, one)]
    if not its:
        return "it does not exist"
    if wrong := [one for one in its if one.outcome == "failed"]:
        return f"it fails without the bug ({wrong[0].kind})"
    return "passed" if any(one.outcome == "passed" for one in its) else "skipped"


def caught(test: str, seen: Sequence[Seen]) -> str:
    """Return what became of a test with its bug planted: `caught`, or why that is no proof."""
    its = [one for one in seen if _is_of(test, one)]
    failures = [one for one in its if one.outcome == "failed" and one.when == "call"]
    if odd := [one for one in failures if one.kind != "unmet"]:
        return f"it broke instead of failing ({odd[0].kind})"
    if failures:
        return "caught"
    return "it could not run" if not its or any(one.outcome == "failed" for one in its) else "it passes with the bug"


def _is_of(test: str, one: Seen) -> bool:
    return one.test == test or one.test.startswith(f"{test}[")


def prove(tree: Path, bugs: Sequence[Bug]) -> tuple[int, int]:
    """Plant each bug in the tree and print its result; return how many were not caught, how many could not be tried."""
    where = [sys.executable, "-c", "import reaper; print(reaper.__file__)"]
    found = subprocess.run(where, cwd=tree, env=_environ(tree), capture_output=True, text=True, check=True).stdout
    if not Path(found.strip()).is_relative_to(tree):
        raise SystemExit(f"the tests would try {found.strip()} and not the copy in {tree}")
    plants = {one.name: changed(tree, one) for one in bugs}
    untouched, output = run_tests(tree, [test for one in bugs for test in one.tests])
    if not untouched:
        raise SystemExit(f"no test ran:\n{output[-6000:]}")
    wrong = {test: how for one in bugs for test in one.tests if (how := passed(test, untouched)) != "passed"}
    if failed := [test for test, how in wrong.items() if how.startswith("it fails")]:
        untouched, output = run_tests(tree, failed)  # once more: what runs beside it slows a test down
        wrong = {test: how for test, how in wrong.items() if test not in failed or passed(test, untouched) != "passed"}
    if faults := {test: how for test, how in wrong.items() if how != "skipped"}:
        print(output[-6000:])
        raise SystemExit("\n".join(f"{test}: {how}" for test, how in faults.items()))
    missed = skipped = 0
    for one in bugs:
        begun = time.monotonic()
        if any(test in wrong for test in one.tests):
            skipped += 1
            print(f"skipped  {one.name}: its tests are skipped on this machine", flush=True)
            continue
        before = {path: (tree / path).read_bytes() for path in plants[one.name]}
        for path, text in plants[one.name].items():
            (tree / path).write_text(text, encoding="utf-8")
        results, output = _results(tree, one)
        second = "" if set(results.values()) == {"caught"} else ", at the second try"
        if second:  # a test that needs a coincidence is named, and has not failed yet
            results, output = _results(tree, one)
        for path, content in before.items():
            (tree / path).write_bytes(content)
        took = f"{one.name} ({time.monotonic() - begun:.1f} s{second})"
        if bad := {test: how for test, how in results.items() if how != "caught"}:
            missed += 1
            print(output[-4000:])
            print("\n".join(f"MISSED   {took}: {test}: {how}" for test, how in bad.items()), flush=True)
        else:
            print(f"caught   {took}", flush=True)
    return missed, skipped


def _results(tree: Path, one: Bug) -> tuple[dict[str, str], str]:
    seen, output = run_tests(tree, one.tests)
    return {test: caught(test, seen) for test in one.tests}, output


def part_of(bugs: Sequence[Bug], part: str) -> list[Bug]:
    """Return part k of n of the bugs, given as `k/n`: each n-th; any whole number k stands for its remainder."""
    number, parts = map(int, part.split("/"))
    return list(bugs[number % parts :: parts])


def main(names: Sequence[str]) -> int:
    """Prove all bugs, those named, or a part of them (`k/n`); return the exit code."""
    if len(names) == 1 and "/" in names[0]:
        bugs, names = part_of(BUGS, names[0]), ()
    else:
        bugs = [one for one in BUGS if not names or one.name in names]
    if unknown := set(names) - {one.name for one in bugs}:
        raise SystemExit(f"there is no bug {', '.join(sorted(unknown))}; there are: {', '.join(b.name for b in BUGS)}")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="proof-") as directory:
        tree = Path(directory).resolve()
        copy_tree(ROOT, tree)
        try:
            missed, skipped = prove(tree, bugs)
        except DoesNotApplyError as error:
            raise SystemExit(str(error)) from error
    tried = len(bugs) - skipped
    print(f"{tried - missed} of {tried} planted bugs caught, {skipped} not tried, in {time.monotonic() - begun:.0f} s")
    if not missed and len(bugs) == len(BUGS):
        page = ROOT / PAGE
        text = page.read_text(encoding="utf-8")
        if (anew := with_table(text, BUGS)) != text:
            page.write_text(anew, encoding="utf-8")
            print(f"{PAGE} is written anew")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
