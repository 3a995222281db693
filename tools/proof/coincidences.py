"""Shows that the simulation finds what needs a coincidence: plants each bug in a copy of the tree, and simulates.

    python -m tools.proof.coincidences [--minutes M] [--jobs N] [--modelled | NAME…]

Names may be those of `make prove` as well; `--modelled` takes all of them whose behaviour the simulation models. A bug
is found when a plan that is kept (`tests/simulation/kept`), or a seed within the minutes of CPU time (10 each), breaks
an invariant, and breaks none in the untouched tree. Needs no server. The checkout itself is not touched.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.proof.bugs import BUGS
from tools.proof.bugs_simulation import COINCIDENCES, MODELLED
from tools.proof.planted import changed
from tools.proof.prove import ROOT, copy_tree

HOURS = "0.25"
"""Of each seed: many short ones have more coincidences than a long one."""
_ITSELF = re.compile("the simulation itself|it did not end within")
_BROKEN = re.compile(r"^((?:seed|plan) \S+): (.*)$", re.MULTILINE)


def main() -> int:
    """Try all bugs, or those named; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.proof.coincidences", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="the most CPU time for each bug (default: 10)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="seeds at once")
    parser.add_argument("--modelled", action="store_true", help="those of `make prove` that the simulation models")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    known = {one.name: one for one in (*COINCIDENCES, *BUGS)}
    if unknown := sorted(set(options.names) - known.keys()):
        parser.error(f"there is no bug of that name: {', '.join(unknown)}")
    names = MODELLED if options.modelled else options.names or [one.name for one in COINCIDENCES]
    bugs = [known[name] for name in names]
    if simulate(ROOT, "--kept", "--seeds", "0", "--no-shrink") is not None:
        raise SystemExit("a kept plan breaks an invariant in the untouched tree")
    missed = 0
    for one in bugs:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="coincidence-") as directory:
            tree = Path(directory).resolve()
            copy_tree(ROOT, tree)
            for path, text in changed(tree, one).items():
                (tree / path).write_text(text, encoding="utf-8")
            limits = ("--seeds", "1000000", "--cpu-minutes", str(options.minutes), "--jobs", str(options.jobs))
            found = simulate(tree, "--kept", "--until-broken", "--hours", HOURS, *limits)
        if found is None:
            missed += 1
            print(f"MISSED   {one.name}", flush=True)
            continue
        which, sentence = found
        kind, name = which.split()
        again = ("--first", name, "--seeds", "1", "--hours", HOURS, "--no-shrink")
        if kind == "seed" and simulate(ROOT, *again) is not None:
            missed += 1
            print(f"MISSED   {one.name}: the untouched tree fails with {which}, too", flush=True)
            continue
        print(f"found    {one.name} ({which}, {time.monotonic() - began:.0f} s): {sentence[:120]}", flush=True)
    print(f"{len(bugs) - missed} of {len(bugs)} bugs found")
    return 1 if missed else 0


def simulate(tree: Path, *options: str) -> tuple[str, str] | None:
    """Run plans in a tree; return the first that breaks an invariant, and what it breaks."""
    words = [sys.executable, "-P", "-m", "tests.support.simulation", *options]
    done = subprocess.run(
        words,
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = _BROKEN.search(done.stdout)
    if (found is None and done.returncode) or (found is not None and _ITSELF.search(found[2])):
        raise SystemExit(f"the simulation itself failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return None if found is None else (found[1], found[2])


if __name__ == "__main__":
    sys.exit(main())
