"""`python -m tests.support.simulation`: see `--help`."""

from tests.support.simulation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
