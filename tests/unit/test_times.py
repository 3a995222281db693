"""Times and durations as people and servers write them."""

import re

import pytest

from reaper.core.times import (
    DURATION_PATTERN,
    LAST_INSTANT,
    duration_text,
    format_time,
    http_date,
    parse_duration,
    parse_time,
)
from reaper.core.words import clock_time

NOON = 1893499200.0
"""2030-01-01T12:00:00Z."""
DATE, AT = "Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2030-01-01T12:00:00Z", NOON),
        ("2030-01-01t12:00:00z", NOON),
        ("2030-01-01 17:30:00+05:30", NOON),
        ("2030-01-01T12:00:00.25-00:00", NOON + 0.25),
        ("2030-01-01T12:00:00.123456789Z", NOON + 0.123456789),
        ("2016-12-31T23:59:60Z", 1483228800.0),
        ("1970-01-01T00:00:00Z", 0.0),
    ],
)
def test_a_time_is_read(text: str, at: float) -> None:
    assert parse_time(text) == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2030-01-01", "2030-01-01T12:00Z", "20300101T120000Z", "2030-01-01T12:00:00", "2030-01-01T25:00:00Z",
     "2030-01-01T12:00:00+24:00", "2030-01-01T12:00:00Z ", "2030-01-01T12:00:00,5Z", "٢٠30-01-01T12:00:00Z"],
)  # fmt: skip
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:60Z", "9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59-12:00", "9999-12-31T12:00:00-23:59"]
)
def test_the_end_of_the_calendar_is_no_fault(text: str) -> None:
    at = parse_time(text)
    assert at == LAST_INSTANT
    assert format_time(at) == "9999-12-31T23:59:59.000Z"


@pytest.mark.parametrize(
    ("at", "shown"),
    [(LAST_INSTANT - 1, "9999-12-31T23:59:58"), (1e15, "9999-12-31T23:59:59"), (float("inf"), "9999-12-31T23:59:59"),
     (-1.0, "1970-01-01T00:00:00"), (float("-inf"), "1970-01-01T00:00:00")],
)  # fmt: skip
def test_an_instant_outside_the_calendar_is_shown_as_its_end(at: float, shown: str) -> None:
    assert format_time(at) == f"{shown}.000Z"
    assert clock_time(at) == shown.replace("T", " ") + "Z"


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("30m", 1800),
        ("1h30m", 5400),
        ("45s", 45),
        ("2d", 172800),
        ("90", 90),
        ("0", 0),
        ("1.5h", 5400),
        ("0.5", 0.5),
        ("36500d", 3_153_600_000),
    ],
)
def test_a_duration_is_read(text: str, duration_s: float) -> None:
    assert parse_duration(text) == duration_s
    assert re.match(DURATION_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "m", "-5s", "1h30", "30m1h", "5 m", "1w", "inf", "nan", "9" * 400, "1e3", "٣s", "36500d1s"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
    # The bounds are not those of the pattern, and [0-9] is.
    assert not re.match(DURATION_PATTERN, text) or len(text) == 400 or text == "36500d1s"


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0"),
        (0.05, "0.05s"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (2_592_000, "30d"),
        (3600.5, "1h0.5s"),
        (59.25, "59.25s"),
    ],
)
def test_a_duration_is_written_as_it_is_read(duration_s: float, text: str) -> None:
    assert duration_text(duration_s) == text
    assert parse_duration(text) == duration_s


def test_every_form_of_an_http_date_is_read() -> None:
    for text in (DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 09:49:37 +0100"):
        assert http_date(text) == AT


def test_a_date_that_no_clock_can_show_is_none() -> None:
    with pytest.raises(ValueError, match=r"."):
        http_date("Mon, 01 Jan 0001 00:00:00 +99999999999999999999")
    with pytest.raises(ValueError, match="more than one date"):
        http_date("Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT")
