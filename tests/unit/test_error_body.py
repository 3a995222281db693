"""The message of an error: one line for people, whatever the API wrote, and also from what earlier versions kept."""

from __future__ import annotations

import json

import pytest

from reaper.core.error_body import EXCERPT_BYTES, MAX_MESSAGE_CHARS, error_message, readable_detail

ENVELOPE = {
    "error": "unprocessable_entity",
    "code": "UNPROCESSABLE_ENTITY",
    "message": "The sandbox \u201ca\u201d has\nnot started.",
}
MESSAGE = "The sandbox \u201ca\u201d has not started."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (json.dumps(ENVELOPE).encode(), MESSAGE),
        (b'{"code": "C", "error": "the name"}', "the name"),
        (b'{"message": " ", "detail": "\\u0007", "code": "C"}', "C"),
        (b'{"message": 1, "detail": "x"}', "x"),
        (b'{"message": "half \\ud800 of a pair"}', "half of a pair"),
        (b'{"message": "bearer archal_ws_secret1 is not yours"}', "bearer archal_ws_*** is not yours"),
        (b'{"error": {"message": "nested"}}', '{"error": {"message": "nested"}}'),
        (json.dumps({"message": "m" * 600}).encode(), "m" * (MAX_MESSAGE_CHARS - 1) + "\u2026"),
        (b"", None),
        (b" \r\n\t", None),
        (b"one\r\n  two\x00three", "one two three"),
        (b"\x1b[31mred", "[31mred"),
        ("caf\u00e9 \u202eevil".encode(), "caf\u00e9 evil"),
        (b"\xff!", "\ufffd!"),
        (b"a" * 500, "a" * EXCERPT_BYTES),
    ],
)
def test_the_message_of_a_body_is_one_short_printable_line(body: bytes, text: str | None) -> None:
    assert error_message(body) == text


@pytest.mark.parametrize("ascii_only", [True, False])
def test_of_a_cut_json_text_as_much_of_the_message_is_read_as_there_is(ascii_only: bool) -> None:
    """Earlier versions kept the first 200 bytes of the body."""
    whole = json.dumps(ENVELOPE, ensure_ascii=ascii_only)
    assert readable_detail(whole) == MESSAGE
    begins = whole.index("The sandbox")
    for end in range(len(whole)):
        shown = readable_detail(whole[:end])
        if end <= whole.index("_entity"):
            continue
        assert "{" not in shown
        assert "\\" not in shown
        if end > begins + 3:
            assert MESSAGE.startswith(shown.removesuffix("\u2026").rstrip())


@pytest.mark.parametrize("text", ["plain words", "after_ambiguous", '{"a": 1}', "{", '{"message": "\\x"}'])
def test_a_detail_without_a_message_stays_as_it_is(text: str) -> None:
    assert readable_detail(text) == text


@pytest.mark.parametrize("detail", ["a\nb\x1b[2J", '{"message": "a\\nb\\u001b[2J"}', '{\n"b\x1b[2J'])
def test_a_recorded_detail_forges_no_line(detail: str) -> None:
    assert readable_detail(detail).isprintable()
