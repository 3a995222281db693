"""HTTP/1.1 answers, read without a socket: what each means, what it does to the connection, where the bounds are."""

from __future__ import annotations

import pytest

from reaper.api.http.exchange import WireFault
from tests.support.http.h1 import Seen, cut, exchange, opened, play
from tests.support.http.h1_cases import CHUNKED, GONE, MALFORMED, OK, RESET, VALID, head, length


@pytest.mark.parametrize("name", VALID)
def test_a_valid_answer(name: str) -> None:
    data, status, body, kept = VALID[name]
    seen = play([data])
    assert seen is not None
    assert (seen.fault, seen.status, seen.body, seen.whole, seen.kept) == (None, status, body, True, kept)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer(name: str) -> None:
    assert play([MALFORMED[name]], eof=False) == Seen(0, (), b"", False, "malformed", False)


@pytest.mark.parametrize("name", RESET)
def test_a_close_before_the_end(name: str) -> None:
    assert play([RESET[name]], eof=False) is None
    assert play([RESET[name]]) == Seen(0, (), b"", False, "reset", False)


def test_headers_are_lower_case_and_bare() -> None:
    seen = play([GONE + head(b"X-Request-ID:  abc \t", b"Empty:", b"Bl: \t ", b"x-request-id: \xe4")])
    assert seen is not None
    assert seen.headers == ((b"x-request-id", b"abc"), (b"empty", b""), (b"bl", b""), (b"x-request-id", b"\xe4"))


def test_neither_interim_headers_nor_trailers_are_headers() -> None:
    seen = play([b"HTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\n" + CHUNKED + b"1\r\nx\r\n0\r\nRetry-After: 8\r\n\r\n"])
    assert seen is not None
    assert seen.headers == ((b"transfer-encoding", b"chunked"),)


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
@pytest.mark.parametrize(("size", "whole"), [(99, True), (100, True), (101, False), (100_000, False)])
def test_a_body_is_cut_where_it_is_too_long(framing: str, size: int, whole: bool) -> None:
    body = b"x" * size
    data = {
        "length": OK + head(length(body)) + body,
        "chunks": CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, body),
        "close": OK + head() + body,
    }[framing]
    for pieces in ([data], cut(data, range(0, len(data), 7))):
        seen = play(pieces, max_body_bytes=100)
        assert seen is not None
        assert (seen.fault, seen.body, seen.whole) == (None, body[:100], whole)
        assert seen.kept == (whole and framing != "close")


def test_a_cut_answer_does_not_wait_for_the_rest() -> None:
    seen = play([OK + head(b"Content-Length: 1000") + b"x" * 101], max_body_bytes=100, eof=False)
    assert seen is not None
    assert seen.whole is False


def test_a_connection_is_used_again() -> None:
    connection, wire, owner = opened()
    for number, (answer, status) in enumerate([(GONE + head(), 204), (OK + head(length(b"a")) + b"a", 200)] * 3):
        asked = exchange(target=b"/%d" % number)
        assert connection.room == 1
        connection.start(asked)
        assert connection.room == 0
        assert asked.written
        assert not asked.response_started
        assert wire.written[number] == (
            b"DELETE /%d HTTP/1.1\r\nhost: api.test\r\nauthorization: Bearer archal_ws_secret\r\n\r\n" % number
        )
        connection.data_received(answer)
        assert asked.finished
        assert asked.status == status
        assert asked.response_started
    assert owner.room_when_available == [1] * 6
    assert not wire.closed


def test_a_budget_is_that_of_one_answer() -> None:
    connection, wire, _ = opened()
    large = GONE + head(b"a: " + b"x" * 40_000)
    for _ in range(3):
        asked = exchange()
        connection.start(asked)
        connection.data_received(large)
        assert asked.status == 204
    assert not wire.closed


def test_words_that_nobody_asked_for_close_an_idle_connection() -> None:
    connection, wire, owner = opened()
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert wire.closed
    assert connection.room == 0
    connection.connection_lost(None)
    assert owner.closed_count == 1


def test_an_abandoned_exchange_takes_its_connection_along_and_no_other() -> None:
    connection, wire, _ = opened()
    first, second = exchange(), exchange()
    connection.start(first)
    connection.data_received(GONE + head())
    connection.start(second)
    connection.abandon(first)
    assert not wire.closed, "the answer of the first was already taken"
    connection.abandon(second)
    assert wire.closed
    assert connection.room == 0
    connection.data_received(GONE + head())
    connection.connection_lost(None)
    assert not second.finished


def test_close_fails_what_is_under_way() -> None:
    connection, wire, _ = opened()
    asked = exchange()
    connection.start(asked)
    connection.close()
    assert wire.closed
    connection.connection_lost(None)
    assert isinstance(asked.error, WireFault)
    assert asked.error.kind == "reset"


def test_a_reset_ends_even_an_answer_that_lasts_until_the_close() -> None:
    connection, _, _ = opened()
    asked = exchange()
    connection.start(asked)
    connection.data_received(OK + head() + b"hel")
    connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    assert isinstance(asked.error, WireFault)
    assert asked.error.kind == "reset"
    assert isinstance(asked.error.__cause__, ConnectionResetError)


def test_a_fault_says_what_is_wrong() -> None:
    for name, word in {"101": "upgrade", "too many trailers": "256", "another protocol": "not HTTP"}.items():
        connection, _, _ = opened()
        asked = exchange()
        connection.start(asked)
        connection.data_received(MALFORMED[name])
        assert word in str(asked.error)


def test_the_token_is_in_no_text() -> None:
    asked = exchange()
    assert "secret" not in repr(asked)
    assert "secret" not in str(asked)
