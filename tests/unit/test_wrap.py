"""Sentences on a terminal: no word is broken in two, and elsewhere they stay one line."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from reaper.cli.arguments import build_parser
from reaper.cli.commands import dead, holds
from reaper.cli.output import emit, emit_own, emit_row
from reaper.cli.parser import LazyParser
from reaper.cli.wrap import columns, truncate, wrap_for_terminal
from reaper.core.discovery.holds import Hold
from reaper.core.discovery.policy import Rule
from reaper.core.model import SessionId
from reaper.core.text import wrap


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
        (28, " " * 12, ["ok    api", "           https://archal.ai", "            answers"]),
        (20, " " * 12, ["ok    api", "  https://archal.ai", "  answers"]),
    ],
)
def test_words_stay_whole_and_columns_too(
    columns: int, indent: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert wrap_for_terminal("ok    api   https://archal.ai answers", Terminal(), indent).splitlines() == lines


def test_a_first_word_without_room_keeps_as_much_of_its_indent_as_fits() -> None:
    assert wrap("      /a/long/path and more", 14, " " * 6).splitlines() == ["  /a/long/path", "      and more"]
    assert wrap("      /a/long/path", 12, " " * 6) == "/a/long/path"


@pytest.mark.parametrize("width", [30, 40, 47])
def test_a_path_wider_than_the_terminal_is_broken_behind_a_slash(width: int) -> None:
    line = "queue      sqlite:///home/ann/.local/state/reaper/reaper.db"
    lines = wrap(line, width, " " * 11).splitlines()
    assert max(map(len, lines)) <= width
    assert all(one.endswith(("queue", "/")) for one in lines[:-1])
    assert "".join("".join(lines).split()) == "".join(line.split())
    assert wrap("/abcd/e/ghijkl/", 10) == "/abcd/e/\n  ghijkl/", "no blank where two parts stand in one line"


def test_a_number_stays_with_its_unit() -> None:
    assert wrap("it ends in 18 s, or in 3 h 58 m", 13).splitlines() == ["it ends in", "  18 s, or in", "  3 h 58 m"]
    assert wrap("it ends in 29 m 58 s", 13).splitlines() == ["it ends in", "  29 m 58 s"]
    assert wrap("of 18 sends", 8).splitlines() == ["of 18", "  sends"]


def test_all_that_is_printed_on_a_terminal_is_wrapped_but_rows_and_scripts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    emit("one two three four")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    emit("one two three four\nfive")
    emit_row("one two three four")
    emit_own("one two three four")
    line = "one two three four\n"
    assert capsys.readouterr().out == f"{line}one two\n  three four\nfive\n{line}{line}"


def test_a_blank_line_stays_blank() -> None:
    assert wrap_for_terminal("", Terminal()) == ""


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "33")
    assert (columns(Terminal()), columns(io.StringIO())) == (33, None)


def test_what_is_cut_says_so() -> None:
    assert (truncate("four", 4), truncate("fives", 4)) == ("four", "fiv…")


def test_dead_letters_without_room_for_their_details_have_them_below() -> None:
    rows = [
        ("env_1", "forbidden", "403", "1", "2026-11-27 04:10:01Z", "not yours " * 8),
        ("env_2", "rejected", "422", "2", "2026-11-27 04:10:02Z", "-"),
    ]

    def printed(width: int | None) -> list[str]:
        layout = dead.layout(rows, width)
        return "\n".join([layout.head(), *map(layout.line, rows)]).splitlines()

    wide = printed(None)
    assert len(wide) == 3
    assert printed(len(wide[1])) == wide
    assert printed(60) == [
        "session  outcome    status  sends  settled",
        "env_1    forbidden     403      1  2026-11-27 04:10:01Z",
        "  not yours not yours not yours not yours not yours not",
        "  yours not yours not yours",
        "env_2    rejected      422      2  2026-11-27 04:10:02Z",
    ]
    assert printed(30) == [
        "session",
        "env_1",
        "  forbidden 403: not yours not",
        "  yours not yours not yours",
        "  not yours not yours not",
        "  yours not yours",
        "env_2",
        "  rejected 422",
    ]


def parsers(parser: LazyParser, path: str = "reaper") -> Iterator[tuple[str, LazyParser]]:
    yield path, parser
    for name, part in parser.filled().parts().items():
        yield from parsers(part, f"{path} {name}")


def printed(parser: LazyParser, monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    parser.print_help(stream)
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 80])
def test_no_help_text_is_wider_than_the_terminal_and_no_word_of_it_is_broken(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, parser in parsers(build_parser()):
        text = printed(parser, monkeypatch, width)
        assert max(map(len, text.splitlines())) <= width, (path, text)
        words = printed(parser, monkeypatch, 400).split()
        assert sorted(text.replace(" \\\n", "\n").split()) == sorted(words), path


def test_the_head_of_a_hold_is_broken_between_its_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    hold = Hold("48b4de", 0.0, 86_400.0, (), "many", {SessionId("env_1"): Rule.EXPIRED})
    holds.print_hold(hold, 0.0, whole=False)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "48b4de  1970-01-01 00:00:00Z",
        "  1 session  open for 1 d more",
    ]
