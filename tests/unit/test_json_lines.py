"""A log line's JSON is that of the standard encoder, to the byte."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaper.telemetry.json_lines import encode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner)
)


@given(VALUES)
def test_it_is_the_text_of_the_standard_encoder(value: object) -> None:
    assert encode(value) == json.JSONEncoder(default=repr).encode(value)


@pytest.mark.parametrize("text", ["\x1b[31m", "\x85", "\u202e", "\ud800", "é", '"', "\\", "\x00"])
def test_what_a_terminal_could_obey_is_escaped(text: str) -> None:
    line = encode({"detail": text, "of": datetime(2026, 11, 30, tzinfo=UTC)})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["detail"] == text


def test_a_value_that_holds_itself_is_an_error_and_the_next_line_is_none() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        encode(endless)
    assert encode({"a": [1, 2.5, None]}) == '{"a": [1, 2.5, null]}'
