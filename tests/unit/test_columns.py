"""A table never takes more than the width of the terminal, and loses its least important columns first."""

from __future__ import annotations

import pytest

from reaper.cli.columns import Column, Columns
from reaper.cli.wrap import cells_of, truncate

COLUMNS = (
    Column("id", 0),
    Column("rule", 1),
    Column("reason", 2, least=8),
    Column("n", 4, to_right=True),
    Column("owner", 3, least=5),
)
ROWS = [("env_1", "expired", "it expired an hour ago", "7", "batch-1"), ("env_22", "live", "-", "1234", "-")]


def drawn(width: int | None) -> list[str]:
    columns = Columns(COLUMNS, ROWS, width)
    return [columns.head(), *map(columns.line, ROWS)]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            None,
            [
                "id      rule     reason                     n  owner",
                "env_1   expired  it expired an hour ago     7  batch-1",
                "env_22  live     -                       1234  -",
            ],
        ),
        (
            40,
            [
                "id      rule     reason         n  owner",
                "env_1   expired  it expire…     7  batc…",
                "env_22  live     -           1234  -",
            ],
        ),
        (32, ["id      rule     reason    owner", "env_1   expired  it expi…  batc…", "env_22  live     -         -"]),
        (15, ["id      rule", "env_1   expired", "env_22  live"]),
        (5, ["id", "env_1", "env_…"]),
    ],
)
def test_the_most_important_columns_stay_whole(width: int | None, lines: list[str]) -> None:
    assert drawn(width) == lines


@pytest.mark.parametrize("width", range(1, 70))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(cells_of(line) <= width for line in drawn(width))


def test_a_long_key_moves_the_others_and_is_not_cut_while_it_fits() -> None:
    rows = [("env_1", "expired"), ("env_" + "1" * 12, "live")]
    columns = Columns(COLUMNS[:2], rows, 20)
    assert [columns.line(row) for row in rows] == ["env_1        expired", "env_111111111111  l…"]


def test_the_columns_without_room_can_be_named() -> None:
    assert [Columns(COLUMNS, ROWS, width).left_out for width in (None, 80, 20)] == ["", "", "reason, n, owner"]


def test_a_path_loses_its_beginning_and_nothing_is_cut_without_a_terminal() -> None:
    columns = (COLUMNS[0], Column("source", 1, least=8, keeps_end=True))
    rows = [("env_1", "/var/log/a.ids"), ("env_2", "/var/log/app/b.ids")]
    assert Columns(columns, rows, 18).line(rows[1]) == "env_2  …/app/b.ids"
    assert Columns(columns, rows[:1], None).line(rows[1]) == "env_2  /var/log/app/b.ids", "though it was not measured"


def test_wide_characters_take_two_columns_and_control_characters_are_escaped() -> None:
    assert [cells_of(text) for text in ("ab", "日本", "e\u0301")] == [2, 4, 1]
    assert [truncate(text, 4) for text in ("日本", "日本語", "abcde")] == ["日本", "日…", "abc…"]
    columns = Columns(COLUMNS[:2], [("日本", "x"), ("a\x1b", "y")], None)
    assert columns.line(("日本", "x")) == "日本   x"
    assert columns.line(("a\x1b", "y")) == "a\\x1b  y"
