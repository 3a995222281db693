"""HTTP/1.1 answers cut anywhere, and bytes that are no answer: the same end however they come, within the bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS
from tests.support.http.h1 import Seen, cut, exchange, one_by_one, opened, play
from tests.support.http.h1_cases import MALFORMED, RESET, VALID

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ-", min_size=1, max_size=12).filter(
    lambda name: name.lower() not in {"content-length", "transfer-encoding", "connection", "upgrade", "keep-alive"}
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
BODIES = st.binary(max_size=300)
STATUSES = st.integers(200, 599)
PLACES = st.lists(st.integers(1, 2000), max_size=30)
SAMPLES = [data for data, *_ in VALID.values()] + [*MALFORMED.values(), *RESET.values()]


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Seen]:
    """A valid answer, and what is to be seen of it."""
    status = draw(STATUSES)
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=8))
    body = b"" if status in (204, 304) else draw(BODIES)
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 H\r\nLink: x\r\n\r\n"]))
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    close = draw(st.booleans())
    lines = [(name.encode(), value.encode()) for name, value in headers]
    raw = body
    if status in (204, 304):
        framing = "none"
    elif framing == "length":
        lines.append((b"Content-Length", b"%d" % len(body)))
    elif framing == "chunks":
        lines.append((b"Transfer-Encoding", b"chunked"))
        raw = b"".join(
            b"%x%b\r\n%b\r\n" % (len(part), draw(st.sampled_from([b"", b";a=b", b';q="x y"'])), part)
            for part in cut(body, draw(PLACES))
            if part
        )
        raw += b"0\r\n" + draw(st.sampled_from([b"", b"T: u\r\n", b"Content-Type: x\r\nT:\r\n"])) + b"\r\n"
    if close:
        lines.append((b"Connection", b"close"))
    head = b"HTTP/1.1 %d Reason\r\n" % status + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"
    seen = tuple((name.lower(), value) for name, value in lines)
    return interim + head + raw, Seen(status, seen, body, True, None, not close and framing != "close")


@given(answers(), PLACES)
@settings(max_examples=300, deadline=None)
def test_a_valid_answer_is_the_same_however_it_is_cut(answer: tuple[bytes, Seen], places: list[int]) -> None:
    data, expected = answer
    assert play([data]) == expected
    assert play(cut(data, places)) == expected
    assert play(one_by_one(data)) == expected


@given(answers(), st.data())
@settings(max_examples=200, deadline=None)
def test_an_answer_that_ends_early_is_a_reset(answer: tuple[bytes, Seen], data: st.DataObject) -> None:
    raw, expected = answer
    at = data.draw(st.integers(0, len(raw) - 1))
    seen = play([raw[:at]])
    assert seen is not None
    until_close = not expected.kept and b"\r\n\r\n" in raw[:at] and expected.body.startswith(seen.body)
    assert seen.fault == "reset" or until_close


@st.composite
def disturbed(draw: st.DrawFn) -> bytes:
    """Bytes that were an answer before something happened to them, or never were."""
    raw = bytearray(draw(st.one_of(st.sampled_from(SAMPLES), answers().map(lambda answer: answer[0]))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(raw)


@given(st.one_of(disturbed(), st.binary(max_size=200)), PLACES, st.sampled_from([0, 1, 100, 10_000]))
@settings(max_examples=600, deadline=None)
def test_any_bytes_end_in_an_answer_or_a_fault(data: bytes, places: list[int], max_body_bytes: int) -> None:
    at_once = play([data], max_body_bytes)
    assert at_once is not None
    assert at_once.fault in (None, "malformed", "reset")
    assert len(at_once.body) <= max_body_bytes
    assert len(at_once.headers) <= MAX_HEADERS
    assert sum(len(name) + len(value) for name, value in at_once.headers) <= MAX_HEAD_BYTES
    for pieces in (cut(data, places), list(one_by_one(data))):
        seen = play(pieces, max_body_bytes)
        assert seen is not None
        # Whether the connection is kept may depend on when the bytes after an answer come; the answer may not.
        assert (seen.status, seen.headers, seen.body, seen.whole, seen.fault) == (
            at_once.status, at_once.headers, at_once.body, at_once.whole, at_once.fault,
        )  # fmt: skip


@given(st.lists(answers().filter(lambda answer: answer[1].kept), min_size=1, max_size=5), PLACES)
@settings(max_examples=100, deadline=None)
def test_answers_on_one_connection_do_not_touch(many: list[tuple[bytes, Seen]], places: list[int]) -> None:
    connection, wire, _ = opened()
    for data, expected in many:
        asked = exchange()
        connection.start(asked)
        for piece in cut(data, places):
            connection.data_received(piece)
        assert (asked.status, bytes(asked.body)) == (expected.status, expected.body)
        assert tuple(asked.response_headers) == expected.headers
    assert connection.room == 1
    assert not wire.closed


@pytest.mark.parametrize("name", [*VALID, *MALFORMED, *RESET])
def test_the_pieces_do_not_matter(name: str) -> None:
    data = VALID[name][0] if name in VALID else {**MALFORMED, **RESET}[name]
    at_once = play([data])
    assert at_once is not None
    followed = name in VALID and name.endswith("after it")
    for pieces in (list(one_by_one(data)), *([data[:at], data[at:]] for at in range(1, min(len(data), 400)))):
        seen = play(pieces)
        assert seen is not None
        if followed or name in ("bytes after a close", "204 with a body", "204 with chunks"):
            # What follows may come after the connection was given back: an idle one that hears something closes.
            assert (seen.status, seen.body, seen.fault) == (at_once.status, at_once.body, None)
        else:
            assert seen == at_once, pieces
