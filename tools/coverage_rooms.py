"""Print the branch coverage of each room, and fail when one is below its bound. Reads what `coverage combine` wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOMS = ("core", "queues", "api", "intake", "telemetry", "cli")
REST = "the rest"
TOTAL = "in all"
BOUNDS = {"core": 99.8, "queues": 99.2, TOTAL: 95.0}
"""Some in a thousand are left for what no run is sure to meet: races of two connections, a disk that fails while reaper
saves what another program took away."""


def room_of(path: str) -> str:
    """Name the room of `reaper/<room>/…`, REST for all others."""
    room = Path(path).parts[1]
    return room if room in ROOMS else REST


def counted(files: dict[str, Any]) -> dict[str, Counter[str]]:
    """Sum up the lines and branches of each room, the empty ones too, and of all together."""
    sums: dict[str, Counter[str]] = {name: Counter() for name in (*ROOMS, REST, TOTAL)}
    for path, file in files.items():
        for name in (room_of(path), TOTAL):
            sums[name].update({key: n for key, n in file["summary"].items() if isinstance(n, int)})
    return sums


def percent(sums: Counter[str]) -> float:
    """Return the share of lines and branches that were run; a room without any has none."""
    wanted = sums["num_statements"] + sums["num_branches"]
    return 100.0 * (sums["covered_lines"] + sums["covered_branches"]) / wanted if wanted else 0.0


def table(sums: dict[str, Counter[str]]) -> list[str]:
    """Return the lines to print."""
    lines = [f"{'room':<12}{'lines':>8}{'missed':>8}{'branches':>10}{'missed':>8}{'covered':>10}"]
    for name, one in sums.items():
        missed, branches = one["missing_lines"], one["num_branches"]
        lines.append(
            f"{name:<12}{one['num_statements']:>8}{missed:>8}{branches:>10}{one['missing_branches']:>8}"
            # cut, not rounded: 99.996 is not 100
            f"{int(percent(one) * 100) / 100:>8.2f} %"
        )
    return lines


def below(sums: dict[str, Counter[str]]) -> list[str]:
    """Return a line for each room below its bound."""
    return [f"{name}: below {bound:g} %" for name, bound in BOUNDS.items() if percent(sums[name]) < bound]


def main() -> int:
    coverage = Path(sys.executable).with_name("coverage")
    report = subprocess.run([coverage, "json", "--quiet", "-o", "-"], capture_output=True, text=True, check=True).stdout
    sums = counted(json.loads(report)["files"])
    print("\n".join(table(sums)))
    for failure in (failures := below(sums)):
        print(failure, file=sys.stderr)
    if failures:
        print(f"to see the missing lines: {coverage} report", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
