"""How exchanges, and an HTTP/2 connection itself, come to an end; without a socket."""

from __future__ import annotations

import gc
import struct

import pytest

from reaper.api.http.exchange import Exchange, WireFault
from reaper.api.http.h2 import connection as h2
from reaper.api.http.h2 import control_frames as h2_talk
from reaper.api.http.h2 import reader as h2_read
from reaper.api.http.h2 import response as h2_response
from reaper.api.http.h2.encode import RequestEncoder, RequestTemplate
from reaper.api.http.h2.response import STREAM_WINDOW
from tests.support.http.h2 import (
    GOAWAY,
    HEADERS,
    RST,
    SECRET,
    SETTINGS,
    WINDOW,
    Frame,
    Stage,
    became,
    body,
    exchange,
    fates,
    frame,
    goaway,
    head,
    rst,
)
from tests.support.objects import kept

MAX_STREAMS = 3


def test_an_exchange_that_is_given_up_is_cancelled_and_its_late_answer_ignored() -> None:
    stage = Stage((MAX_STREAMS, 2))
    first, second = stage.ask(2)
    stage.said()
    stage.connection.abandon(first)
    stage.connection.abandon(first)  # nothing happens
    stage.connection.abandon(exchange())  # never seen
    stage.loop.settle()
    assert stage.said() == [Frame(RST, 0, 1, struct.pack(">I", 8))]
    assert (stage.connection.room, stage.owner.rooms) == (1, [1])
    stage.say(head(1, b"\x8d", 0x4), body(1, b"late"), head(3))
    assert fates([first, second]) == [None, 204]
    assert bytes(first.body) == b""


def test_cancelled_streams_are_forgotten_at_last() -> None:
    stage = Stage()
    for _ in range(3):
        for one in stage.ask(1000):
            stage.connection.abandon(one)
        stage.loop.settle()
    assert max(len(one) for one in kept(stage.connection, dict)) == h2_read.MAX_CANCELLED
    stage.said()
    stage.say(head(1), head(5999), head(3001))
    assert not stage.wire.closed


def test_the_windows_are_refilled() -> None:
    stage = Stage()
    (one,) = stage.ask(max_body_bytes=10**9)
    stage.said()
    stage.say(head(1, b"\x88", 0x4))
    part = b"x" * 16384
    given = {0: h2_talk.CONNECTION_WINDOW, 1: STREAM_WINDOW}
    for _ in range(3 * h2_talk.CONNECTION_WINDOW // len(part)):
        for stream in given:
            given[stream] -= len(part)
            assert given[stream] >= 0
        stage.say(body(1, part, 0))
        for said in stage.said():
            assert said.kind == WINDOW
            given[said.stream] += said.number
    assert given[0] <= h2_talk.CONNECTION_WINDOW
    assert given[1] <= STREAM_WINDOW
    stage.say(body(1, b""))
    assert became(one) == 200
    assert len(one.body) == 3 * h2_talk.CONNECTION_WINDOW


def test_what_comes_for_cancelled_streams_is_given_back_to_the_connection() -> None:
    stage = Stage()
    stage.ask(max_body_bytes=10)
    stage.say(head(1, b"\x88", 0x4), body(1, b"x" * 11, 0))
    stage.said()
    for _ in range(h2_talk.CONNECTION_WINDOW // 2 // 16384):
        stage.say(body(1, b"x" * 16384, 0))
    assert [(said.kind, said.stream) for said in stage.said()] == [(WINDOW, 0)]


def test_data_beyond_the_window_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_response, "STREAM_WINDOW", 99)
    stage = Stage()
    one, other = stage.ask(2, max_body_bytes=10**9)
    stage.said()
    stage.say(head(1, b"\x88", 0x4))
    stage.say(body(1, b"x" * 100))
    assert fates([one, other]) == ["malformed", None]
    assert stage.said() == [Frame(RST, 0, 1, struct.pack(">I", 3))]


def test_data_beyond_the_window_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_read, "CONNECTION_WINDOW", 9)
    stage = Stage()
    (one,) = stage.ask()
    stage.said()
    stage.say(head(1, b"\x88", 0x4))
    stage.say(body(1, b"x" * 10))
    assert became(one) == "malformed"
    assert stage.said() == [Frame(GOAWAY, 0, 0, struct.pack(">II", 0, 3))]


# The end of the connection.


def test_a_connection_that_is_lost() -> None:
    stage = Stage()
    (sent,) = stage.ask()
    unsent = exchange()
    stage.connection.start(unsent)
    why = ConnectionResetError("gone")
    stage.lose(why)
    assert fates([sent, unsent]) == ["reset", "refused"]
    assert isinstance(sent.error, WireFault)
    assert sent.error.__cause__ is why
    assert (stage.connection.room, stage.owner.closed_count) == (0, 1)
    stage.connection.close()
    stage.connection.abandon(sent)
    stage.loop.settle()
    assert [said.kind for said in stage.said()] == [HEADERS]


def test_each_exchange_has_an_error_of_its_own() -> None:
    stage = Stage()
    first, second = stage.ask(2)
    stage.lose(OSError("gone"))
    assert first.error is not second.error


def test_closing() -> None:
    stage = Stage()
    (sent,) = stage.ask()
    unsent = exchange()
    stage.connection.start(unsent)
    stage.said()
    stage.connection.close()
    stage.connection.close()
    assert fates([sent, unsent]) == ["reset", "refused"]
    assert stage.said() == [Frame(GOAWAY, 0, 0, b"\0" * 8)]
    assert (stage.wire.closed, stage.wire.aborted, stage.connection.room) == (True, False, 0)
    assert stage.owner.rooms == [0]
    stage.connection.data_received(head(1))  # too late
    stage.loop.advance(h2.CLOSE_TIMEOUT_S)
    assert stage.wire.aborted


def test_the_goodbye_has_no_timer_left_when_the_connection_is_gone() -> None:
    stage = Stage()
    stage.connection.close()
    stage.lose()
    assert all(timer.cancelled for timer in stage.loop.timers)


def test_closing_while_the_peer_does_not_read() -> None:
    stage = Stage()
    stage.connection.pause_writing()
    stage.connection.close()
    assert stage.wire.aborted


def test_the_end_of_the_stream_while_idle_and_while_busy() -> None:
    idle = Stage()
    idle.connection.eof_received()
    assert (idle.connection.room, idle.wire.closed) == (0, True)
    assert idle.owner.rooms[-1] == 0
    busy = Stage()
    (sent,) = busy.ask()
    unsent = exchange()
    busy.connection.start(unsent)
    assert not busy.connection.eof_received()  # type: ignore[func-returns-value]  # the loop closes the transport
    assert fates([sent, unsent]) == [None, "refused"]
    assert busy.connection.room == 0
    busy.lose()
    assert became(sent) == "reset"


def test_goodbye_takes_no_more_and_closes_when_the_last_is_done() -> None:
    stage = Stage()
    asked = stage.ask(2)
    stage.said()
    stage.say(goaway(2**31 - 1))
    assert stage.connection.room == 0
    assert stage.owner.rooms == [0]
    stage.say(head(1))
    assert not stage.wire.closed
    stage.connection.abandon(asked[1])
    assert stage.wire.closed
    assert fates(asked) == [204, None]
    assert [said.kind for said in stage.said()] == [RST, GOAWAY]


def test_goodbye_then_close() -> None:
    stage = Stage()
    asked = stage.ask(3)
    stage.say(goaway(3))
    stage.lose()
    assert fates(asked) == ["reset", "reset", "refused"]


def test_the_stream_numbers_run_out() -> None:
    stage = Stage()
    stage.connection.next_stream = 2**31 - 1 - 2 * h2.MAX_STREAMS
    assert stage.connection.room == h2.MAX_STREAMS
    asked = stage.ask(h2.MAX_STREAMS)
    numbers = [said.stream for said in stage.said()]
    assert max(numbers) < 2**31
    assert stage.connection.room == 0
    stage.say(*(head(number) for number in numbers))
    assert fates(asked) == [204] * h2.MAX_STREAMS
    assert stage.wire.closed
    assert stage.owner.rooms == [0, 0]  # leaving, then closed


# A peer that is gone without a word.


# Beside all that.


def test_no_secret_shows() -> None:
    stage = Stage()
    (one,) = stage.ask()
    shown = [repr(stage.connection), repr(one)]
    shown += [repr(kept(stage.connection, kind)) for kind in (h2_read.Reader, RequestEncoder, RequestTemplate)]
    stage.say(frame(SETTINGS, 0, 1))
    shown += [str(one.error), repr(one.error), repr(vars(one.error))]
    assert SECRET.decode() not in " ".join(shown)


def test_nothing_is_kept_of_exchanges_that_ended() -> None:
    stage = Stage()
    for _ in range(20):
        asked = stage.ask(5)
        numbers = [said.stream for said in stage.said() if said.kind == HEADERS]
        stage.say(head(numbers[0]), head(numbers[1], b"\x8d", 0x4), body(numbers[1], b"x"), rst(numbers[2], 7))
        stage.say(head(numbers[3], b"\x20"))
        stage.connection.abandon(asked[4])
    del asked
    gc.collect()
    assert sum(isinstance(one, Exchange) for one in gc.get_objects()) == 0
    assert stage.connection.streams == {}
    assert kept(stage.connection, h2_response.Response) == []
