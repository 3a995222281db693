"""The command of the simulation: many seeds, a report, and the story of the first seed that fails."""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.support.simulation.plan import ENGINES, KINDS, Plan, plan_of
from tests.support.simulation.runner import Interpreter, Interpreters, run_all, shrink
from tests.support.simulation.simulated import Result, Total

KEPT = Path(__file__).parents[2] / "simulation/kept"
"""The plans that failed once, made smaller."""


def kept_plans() -> dict[str, Plan]:
    """Return the kept plans by name, each on both engines: a fault that one of them hid may be in the other."""
    plans = {file.stem: Plan.from_json(file.read_text()) for file in sorted(KEPT.glob("*.json"))}
    return {f"{name}-{engine}": replace(plan, engine=engine) for name, plan in plans.items() for engine in ENGINES}


def main(argv: list[str] | None = None) -> int:
    """Run the seeds; return 1 when an invariant did not hold in one of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many seeds (default: 20)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them (default: 1)")
    parser.add_argument("--hours", type=float, default=2.0, metavar="H", help="virtual hours of each (default: 2)")
    parser.add_argument("--faults", metavar="KIND,KIND", help="these faults in each seed, in place of a swarm's choice")
    parser.add_argument("--minutes", type=float, metavar="M", help="begin no other seed after so long")
    parser.add_argument(
        "--cpu-minutes", type=float, metavar="M", help="begin no other seed after so much CPU time of all seeds"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="at once (default: one a core)"
    )
    parser.add_argument("--plan", type=Path, metavar="FILE", help="run the plan in this file, and tell its story")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="write the plan of each seed that fails here, made smaller"
    )
    parser.add_argument("--kept", action="store_true", help="first run the plans that failed once, and are kept")
    parser.add_argument(
        "--until-broken", action="store_true", help="end with the first seed that fails, and tell no story"
    )
    parser.add_argument("--no-shrink", action="store_true", help="tell the story of a seed that fails as it is")
    options = parser.parse_args(argv)
    if options.plan is not None:
        with Interpreter() as interpreter:
            return _tell(Plan.from_json(options.plan.read_text()), interpreter)
    kinds = None if options.faults is None else [kind for kind in options.faults.split(",") if kind]
    if unknown := sorted(set(kinds or ()) - set(KINDS)):
        parser.error(f"--faults: no such faults: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    until = float("inf") if options.minutes is None else time.monotonic() + options.minutes * 60
    most_s = float("inf") if options.cpu_minutes is None else options.cpu_minutes * 60
    names = {plan: f"plan {name}" for name, plan in kept_plans().items()} if options.kept else {}
    seeds = itertools.islice(itertools.count(options.first), options.seeds)
    plans = itertools.chain(names, (plan_of(seed, options.hours, kinds) for seed in seeds))
    total = Total()
    failed: list[tuple[Plan, Result]] = []

    def go_on() -> bool:
        is_over = time.monotonic() >= until or total.took_s >= most_s or (options.until_broken and bool(failed))
        return not is_over and not interrupts

    with _counted_interrupts() as interrupts, Interpreters(options.jobs) as interpreters, Interpreter() as interpreter:
        for plan, result in run_all(plans, options.jobs, interpreters.run, go_on):
            total.add(result)
            if result.broken:
                failed.append((plan, result))
                print(f"{names.get(plan, f'seed {plan.seed}')}: {result.broken[0]}", flush=True)
            elif sys.stderr.isatty():
                hours = f"{total.seeds} seeds, {total.reaper_hours:,.0f} reaper hours"
                print(f"\r{hours}", end="", file=sys.stderr, flush=True)
        print("\n".join(total.lines()))
        for plan, result in () if options.until_broken else failed[:3]:
            smaller = plan if options.no_shrink else shrink(plan, result, options.jobs, interpreters.run)
            if options.keep is not None and plan not in names:
                options.keep.mkdir(exist_ok=True)
                (options.keep / f"seed-{plan.seed}.json").write_text(smaller.to_json() + "\n")
            _tell(smaller, interpreter)
    return 1 if failed else 0


@contextmanager
def _counted_interrupts() -> Iterator[list[int]]:
    """Give a list that gets the first Ctrl-C, so that a long run can report what it has; the second one ends it."""
    interrupts: list[int] = []

    def note(number: int, _: object) -> None:
        interrupts.append(number)
        signal.signal(number, before)
        print("\nbegins no other seed; Ctrl-C again ends it at once", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(plan: Plan, interpreter: Interpreter) -> int:
    """Run one plan; print its story if an invariant does not hold."""
    result = interpreter.run(plan, with_story=True)
    print(f"\nseed {plan.seed}: {plan.engine}, {plan.reapers} × {plan.mode}, {len(plan.sessions)} sessions, faults:")
    for fault in plan.faults:
        print(f"  {fault}")
    print(*(result.story if result.broken else ()), sep="\n")
    print(*(result.broken or [f"all invariants hold; digest {result.digest}"]), sep="\n")
    return 1 if result.broken else 0
