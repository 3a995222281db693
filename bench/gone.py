"""Measures a backlog that is gone, wholly or in part, and a healthy one: the price of comparing 404s with the list.

    .venv/bin/python -m bench.gone                        this tree alone
    .venv/bin/python -m bench.gone --other DIR --runs 5   beside another tree (with its own .venv), runs in turns

10,000 IDs, 64 in flight, 50 ms, the adaptive limit off; the list has 300 entries, or as many as live. Wall and CPU
seconds are medians of `reaper once`; the ratio is this tree's to the other's.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from pathlib import Path

from bench.spine import Ran, environ, ran, sandbox
from reaper.sandbox.sessions import generate

SESSIONS, LISTED = 10_000, 300
ALIVE = {"gone": 0.0, "gone but for 1 %": 0.01, "gone but for 30 %": 0.3, "healthy": 1.0}


def backlog(alive: int, seed: int) -> tuple[list[str], int]:
    """Return the IDs, `alive` of them the sandbox's, and how many sessions the sandbox needs."""
    listed = max(LISTED, alive)
    ids = [session.session_id for session in generate(listed, seed)][:alive]
    ids += [f"gone-{number}" for number in range(SESSIONS - alive)]
    random.Random(seed).shuffle(ids)
    return ids, listed


def once(tree: Path, alive: int) -> Ran:
    """Run `once` of a tree against a new sandbox of this tree."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        ids, listed = backlog(alive, 0)
        (home / "ids.txt").write_text("".join(f"{one}\n" for one in ids))
        with sandbox(home, "--sessions", str(listed), "--latency", "50ms") as url:
            settings = {
                "REAPER_API__BASE_URL": url,
                "REAPER_WORKER__CONCURRENCY": "64",
                "REAPER_WORKER__ADAPTIVE": "false",
                "XDG_STATE_HOME": str(home / "state"),
            }
            words = [str(tree / ".venv/bin/python"), "-m", "reaper", "once", "-q", "--json", "ids.txt"]
            end = ran(words, environ(home, **settings), home)
        if end.code:
            raise SystemExit(f"{tree}: exit {end.code}: {end.out}{(home / 'stderr').read_text()[-2000:]}")
        return end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, help="another tree to run in turns with this one")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=list(ALIVE))
    args = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    trees = [here] if args.other is None else [args.other.resolve(), here]
    for name, share in ALIVE.items():
        if args.only not in (None, name):
            continue
        ends: dict[Path, list[Ran]] = {tree: [] for tree in trees}
        for _ in range(args.runs):
            for tree in trees:
                ends[tree].append(once(tree, round(SESSIONS * share)))
        walls = [statistics.median(end.wall_s for end in ends[tree]) for tree in trees]
        cpus = [statistics.median(end.cpu_s for end in ends[tree]) for tree in trees]
        ratio = f"  ratio {walls[1] / walls[0]:.3f}, CPU {cpus[1] / cpus[0]:.3f}" if len(trees) > 1 else ""
        print(f"{name:18} wall {walls[-1]:6.2f} s  CPU {cpus[-1]:6.2f} s{ratio}", flush=True)


if __name__ == "__main__":
    main()
