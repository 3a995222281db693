"""`reaper check` in words, on a wide terminal and on a narrow one."""

from __future__ import annotations

from reaper.app.check.line import Line
from reaper.cli.commands.check import words_of
from reaper.core.text import wrap

LINE = Line("clock", "agrees with the server's")


def test_a_lines_text_stands_beside_its_subject_or_below_it() -> None:
    wide = ("ok    clock          agrees with the server's", " " * 21)
    assert words_of(LINE, None) == words_of(LINE, 80) == wide
    text, indent = words_of(LINE, 40)
    assert [wrap(part, 22, indent) for part in text.split("\n")] == [
        "ok    clock",
        "      agrees with the\n      server's",
    ]
