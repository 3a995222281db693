"""Sentences on a terminal: no word is broken in two, and elsewhere they stay one line."""

from __future__ import annotations

import io

import pytest

from reaper.cli.fitted import fitted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_off_a_terminal_a_line_stays_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert fitted("one two three four", io.StringIO()) == "one two three four"


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
    assert fitted("ok    api   https://archal.ai answers", Terminal(), indent).splitlines() == lines


def test_a_blank_line_stays_blank() -> None:
    assert fitted("", Terminal()) == ""
