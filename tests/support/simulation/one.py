"""Runs one plan, given as JSON on stdin, and prints the result as JSON: `python -m tests.support.simulation.one`."""

import os
import sys

from tests.support.simulation import virtual_time


def main() -> None:
    from tests.support.simulation.plan import Plan

    plan = Plan.from_json(sys.stdin.read())
    virtual_time.install(plan.seed)
    from tests.support.simulation.simulate import simulate

    result = simulate(plan, with_story="--story" in sys.argv)
    sys.stdout.write(result.to_json() + "\n")
    sys.stdout.flush()
    os._exit(0)  # the frames of dead processes must not be cleaned up


if __name__ == "__main__":
    main()
