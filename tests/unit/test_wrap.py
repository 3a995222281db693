"""Sentences on a terminal: no word is broken in two, and elsewhere they stay one line."""

from __future__ import annotations

import io

import pytest

from reaper.cli.commands.dead import listing
from reaper.cli.wrap import columns, truncate, wrap_for_terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_off_a_terminal_a_line_stays_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert wrap_for_terminal("one two three four", io.StringIO()) == "one two three four"


@pytest.mark.parametrize(
    ("columns", "indent", "lines"),
    [
        (80, "  ", ["ok    api   https://archal.ai answers"]),
        (24, "  ", ["ok    api", "  https://archal.ai", "  answers"]),
        (28, " " * 12, ["ok    api", "            https://archal.ai", "            answers"]),
        (20, " " * 12, ["ok    api", "  https://archal.ai", "  answers"]),
    ],
)
def test_words_stay_whole_and_columns_too(
    columns: int, indent: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert wrap_for_terminal("ok    api   https://archal.ai answers", Terminal(), indent).splitlines() == lines


def test_a_blank_line_stays_blank() -> None:
    assert wrap_for_terminal("", Terminal()) == ""


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "33")
    assert (columns(Terminal()), columns(io.StringIO())) == (33, None)


def test_what_is_cut_says_so() -> None:
    assert (truncate("four", 4), truncate("fives", 4)) == ("four", "fiv…")


def test_dead_letters_without_room_for_their_details_have_them_below() -> None:
    rows: list[tuple[object, ...]] = [
        ("env_1", "forbidden", 403, 1, "2026-11-27 04:10:01Z", "not yours " * 8),
        ("env_2", "rejected", 422, 2, "2026-11-27 04:10:02Z", "-"),
    ]
    wide = listing(rows, None).splitlines()
    assert len(wide) == 3
    assert listing(rows, len(wide[1])).splitlines() == wide
    narrow = listing(rows, 60).splitlines()
    assert max(map(len, narrow)) == 60
    assert [line.split()[0] for line in narrow] == ["SESSION", "env_1", "not", "env_2", "-"]
    assert narrow[2].endswith("…")
