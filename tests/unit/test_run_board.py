"""The board of `run`: what it shows on a screen that has no room for all of it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from reaper.cli.terminal.run_board import BoardAndLog

ADVICE = "see: reaper dead list; then: reaper dead retry, or reaper dead purge"


def shown(height: int, width: int = 40) -> list[str]:
    reapers = Table("reaper", "limit", box=None, pad_edge=False)
    reapers.add_row("7095 on vm", "32")
    board = Group(Text("reaper run"), Text("dead  2"), Text(), Text(ADVICE), Text(), reapers)
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(BoardAndLog(board, [f"line {number}" for number in range(20)]), height=height)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("height", "last"),
    [(14, "7095 on vm  32"), (13, "7095 on vm  32"), (12, "retry, or reaper dead purge"), (7, "dead  2")],
)
def test_what_has_no_room_is_left_out_whole(height: int, last: str) -> None:
    lines = shown(height)
    assert len(lines) == height
    rule = lines.index("─" * 40)
    assert lines[rule - 1] == last, "neither half of the advice nor the titles of a table without its rows"
    assert lines[-1] == "line 19"


def test_a_screen_of_two_lines_has_the_command_and_the_log() -> None:
    assert shown(3) == ["reaper run", "─" * 40, "line 19"]
