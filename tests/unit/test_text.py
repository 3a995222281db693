"""Texts for people, and text from outside made safe to show."""

import json

import pytest

from reaper.core.text import escaped, escaped_json, format_duration, pluralize, printable, sanitize


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59.6, "1 m"),
        (61, "1 m 1 s"),
        (14_280, "3 h 58 m"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_count_has_the_noun_that_goes_with_it() -> None:
    assert pluralize(1, "session", "sessions") == "1 session"
    assert [pluralize(count, "session", "sessions") for count in (0, 3000)] == ["0 sessions", "3,000 sessions"]


def test_a_text_is_shown_short_escaped_and_without_tokens() -> None:
    assert printable(b"\x1b[31mred\r\xff") == r"\x1b[31mred\r\xff"
    assert len(printable(b"y" * 5000)) == 80
    assert printable(b"y" * 80) == "y" * 80
    assert printable(b"y" * 81) == "y" * 79 + "…"
    # Nothing beyond the length of a line is read.
    assert printable(b"archal_ws_" + b"s" * 4085 + b" ZQ") == "archal_ws_*** Z"
    assert "archal_ws_***" in printable(b"TOKEN=archal_ws_verysecret")
    assert sanitize("\x1b[31m\ud800") == printable(b"\x1b[31m\\ud800")


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "\x9b31m",
        "\u202eevil",
        "\u2066x",
        "a\u200bb",
        "\x7f",
        "\ud800",
        "a\nreaper: all is well",
        "\x00",
        "\u00a0",
    ],
)
def test_no_character_that_steers_a_terminal_is_shown(text: str) -> None:
    shown = escaped(text)
    assert shown.isprintable()
    assert escaped(f"{text}\n", keep="\n").endswith("\n")
    as_json = escaped_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert as_json.isprintable()
    assert json.loads(as_json) == {text: [text]}


def test_texts_in_every_script_are_shown_as_they_are() -> None:
    text = "Grüße, мир, 世界, עולם, 👍"
    assert escaped(text) == escaped_json(text) == text
