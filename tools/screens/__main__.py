"""Captures every screen at each width; `make screens`."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

from tools.screens.desk import capture_desk
from tools.screens.page import names, write_page
from tools.screens.runs import capture_runs
from tools.screens.terminal import SCREENS

WIDTHS = (40, 80, 140)
PARTS = {"runs": capture_runs, "desk": capture_desk}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.screens")
    parser.add_argument("--columns", type=int, nargs="+", default=WIDTHS, help="only these widths")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS), help="only these screens")
    args = parser.parse_args()

    def capture(columns: int) -> None:
        for part in args.part:
            PARTS[part](columns)

    with ThreadPoolExecutor(len(args.columns)) as pool:  # side by side: most of the time is waiting
        list(pool.map(capture, args.columns))
    known = {f"{name}-{width}.txt" for name in names() for width in WIDTHS}
    for path in SCREENS.iterdir():
        if path.name not in known:
            path.unlink()
    write_page()


if __name__ == "__main__":
    main()
