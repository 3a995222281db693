"""What `make coverage` makes of the figures: which room a file belongs to, and when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from tools.coverage_rooms import REST, ROOMS, TOTAL, below, counted, percent, room_of, table


def file(*, lines: int, missing: int = 0, branches: int = 0, untaken: int = 0) -> dict[str, Any]:
    """One file as `coverage json` reports it."""
    return {
        "summary": {
            "num_statements": lines,
            "covered_lines": lines - missing,
            "missing_lines": missing,
            "num_branches": branches,
            "covered_branches": branches - untaken,
            "missing_branches": untaken,
            "percent_covered": 12.5,
        }
    }


FULL = {
    "reaper/core/gate.py": file(lines=1000, branches=500),
    "reaper/queues/accounting.py": file(lines=1000, branches=500),
    "reaper/worker/worker.py": file(lines=1000, missing=50, branches=500, untaken=25),
}


@pytest.mark.parametrize(
    ("path", "room"),
    [("reaper/core/gate.py", "core"), ("reaper/cli/main.py", "cli"), ("reaper/worker/worker.py", REST),
     ("reaper/sandbox/http_server.py", REST)],
)  # fmt: skip
def test_a_file_belongs_to_its_room(path: str, room: str) -> None:
    assert room_of(path) == room


def test_enough_is_not_below_any_bound() -> None:
    sums = counted(FULL)
    assert list(sums) == [*ROOMS, REST, TOTAL]
    assert percent(sums[TOTAL]) == pytest.approx(100 * (4500 - 75) / 4500)
    assert below(sums) == []


@pytest.mark.parametrize(("room", "bound"), [("core", 99.8), ("queues", 99.2)])
def test_branches_that_are_never_taken_fail_their_room(room: str, bound: float) -> None:
    sums = counted(FULL | {f"reaper/{room}/more.py": file(lines=1000, branches=100, untaken=30)})
    assert below(sums) == [f"{room}: below {bound} %"]
    assert not any("100.00 %" in line for line in table(sums) if line.startswith(room))


@pytest.mark.parametrize("room", ["core", "queues"])
def test_one_branch_is_left_to_a_race_but_not_rounded_away(room: str) -> None:
    sums = counted(FULL | {f"reaper/{room}/more.py": file(lines=99_000, branches=1, untaken=1)})
    assert below(sums) == []
    assert not any("100.00 %" in line for line in table(sums) if line.startswith(room))


def test_too_little_in_all_fails() -> None:
    sums = counted(FULL | {"reaper/cli/more.py": file(lines=1000, missing=210)})
    assert below(sums) == [f"{TOTAL}: below 95 %"]


def test_a_room_of_which_nothing_was_measured_fails() -> None:
    assert below(counted({"reaper/worker/worker.py": file(lines=10)})) == ["core: below 99.8 %", "queues: below 99.2 %"]
