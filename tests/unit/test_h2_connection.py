"""One HTTP/2 connection without a socket: what it says, and how much may be under way."""

from __future__ import annotations

import pytest
from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from reaper.api.http.h2 import connection as h2
from reaper.api.http.h2 import control_frames as h2_talk
from reaper.api.http.h2.response import STREAM_WINDOW
from tests.support.http.h2 import (
    GOAWAY,
    HEADERS,
    PING,
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
    settings,
)


def test_the_first_words() -> None:
    stage = Stage(greet=False)
    assert stage.hello.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    rest = memoryview(stage.hello)[24:]
    first, length = SettingsFrame.parse_frame_header(rest[:9])
    first.parse_body(rest[9 : 9 + length])
    assert isinstance(first, SettingsFrame)
    assert first.settings == {
        SettingsFrame.HEADER_TABLE_SIZE: 0,
        SettingsFrame.ENABLE_PUSH: 0,
        SettingsFrame.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        SettingsFrame.MAX_HEADER_LIST_SIZE: 65536,
    }
    rest = rest[9 + length :]
    second, length = WindowUpdateFrame.parse_frame_header(rest[:9])
    second.parse_body(rest[9:])
    assert isinstance(second, WindowUpdateFrame)
    assert (second.stream_id, second.window_increment) == (0, h2_talk.CONNECTION_WINDOW - 65535)
    assert len(rest) == 9 + length


# Writing.


def test_all_that_starts_in_one_turn_leaves_in_one_write() -> None:
    stage = Stage()
    asked = [exchange() for _ in range(50)]
    for one in asked:
        stage.connection.start(one)
        assert not one.written
    assert stage.wire.writes == []
    stage.loop.settle()
    assert len(stage.wire.writes) == 1
    assert [frame.stream for frame in stage.said()] == list(range(1, 101, 2))
    assert all(one.written for one in asked)
    stage.say(*(head(number) for number in range(1, 101, 2)))
    assert fates(asked) == [204] * 50
    assert stage.wire.writes == []


def test_after_an_idle_time_the_peer_is_heard_first() -> None:
    stage = Stage()
    one = exchange()
    stage.connection.start(one)
    stage.loop.turn()  # the event loop asks the sockets between turns: the goodbye of meanwhile comes now
    assert stage.wire.writes == []
    stage.connection.data_received(goaway(0))
    stage.loop.settle()
    assert became(one) == "refused"
    assert not one.written
    assert [frame.kind for frame in stage.said()] == [GOAWAY]
    assert stage.wire.closed


def test_after_an_idle_time_the_peer_is_heard_first_even_behind_a_reply() -> None:
    stage = Stage()
    stage.connection.data_received(settings())  # its acknowledgement leaves in the next turn
    one = exchange()
    stage.connection.start(one)
    stage.loop.turn()
    stage.connection.data_received(goaway(0))
    stage.loop.settle()
    assert became(one) == "refused"
    assert not one.written


def test_after_an_idle_time_the_peer_is_heard_first_even_behind_a_flush_of_the_same_turn() -> None:
    stage = Stage()
    one = exchange()
    stage.loop.call_soon(stage.connection.start, one)
    stage.connection.data_received(settings())
    stage.loop.turn()  # the start, then the flush; what the sockets have for us comes behind the next flush
    stage.loop.call_soon(stage.connection.data_received, goaway(0))
    stage.loop.settle()
    assert became(one) == "refused"
    assert not one.written


def test_nothing_is_written_to_a_connection_that_the_loop_is_closing() -> None:
    stage = Stage()
    (sent,) = stage.ask()
    late = exchange()
    stage.connection.start(late)
    stage.wire.closed = True
    stage.loop.settle()
    stage.lose(ConnectionResetError())
    assert fates([sent, late]) == ["reset", "refused"]
    assert not late.written


def test_an_exchange_that_is_given_up_before_it_is_written_is_never_sent() -> None:
    stage = Stage()
    first, second = exchange(b"/1"), exchange(b"/2")
    stage.connection.start(first)
    stage.connection.start(second)
    room = stage.connection.room
    stage.connection.abandon(first)
    assert stage.connection.room == room + 1
    stage.loop.settle()
    assert [(frame.kind, frame.stream) for frame in stage.said()] == [(HEADERS, 1)]
    assert (first.written, second.written) == (False, True)


def test_a_peer_that_does_not_read_is_sent_nothing() -> None:
    stage = Stage()
    (before,) = stage.ask()
    stage.said()
    stage.connection.pause_writing()
    assert stage.connection.room == 0
    stage.say(frame(PING, 0, 0, b"12345678"), head(1))
    assert became(before) == 204  # what is under way goes on
    assert stage.connection.room == 0
    assert stage.wire.writes == []
    stage.connection.resume_writing()
    stage.loop.settle()
    assert stage.connection.room == h2.MAX_STREAMS
    assert stage.owner.rooms == [h2.MAX_STREAMS]
    assert stage.said() == [Frame(PING, 1, 0, b"12345678")]


def test_what_started_before_the_peer_stopped_reading_waits() -> None:
    stage = Stage()
    stage.ask()
    stage.said()
    late = exchange()
    stage.connection.start(late)
    stage.connection.pause_writing()
    stage.loop.settle()
    assert not late.written
    stage.lose()
    assert became(late) == "refused"


@pytest.mark.parametrize("ask", [frame(PING, 0, 0, b"12345678"), settings()])
def test_replies_that_nobody_reads_are_bounded(ask: bytes) -> None:
    stage = Stage()
    (one,) = stage.ask()
    stage.connection.pause_writing()
    stage.say(ask * h2.MAX_REPLIES)
    assert became(one) is None
    stage.say(ask)
    assert became(one) == "malformed"
    assert stage.wire.aborted


def test_replies_that_are_read_at_last_are_not_counted_any_more() -> None:
    stage = Stage()
    (one,) = stage.ask()
    for _ in range(3):
        stage.connection.pause_writing()
        stage.say(frame(PING, 0, 0, b"12345678") * h2.MAX_REPLIES)
        stage.connection.resume_writing()
        stage.loop.settle()
    assert became(one) is None


@pytest.mark.parametrize(
    "chatter",
    [
        frame(PING, 1, 0, b"12345678"),
        settings(),
        frame(0x99),
        frame(WINDOW, 0, 1, b"\0\0\0\1"),
        frame(2, 0, 1, b"12345"),
        rst(1, 0),
        body(3, b"", 0),
        body(1, b"x", 0),
        head(1),
    ],
    ids=["ping", "settings", "unknown", "window", "priority", "reset", "empty body", "late body", "late head"],
)
def test_frames_that_bring_nothing_on_are_bounded(chatter: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_talk, "MAX_IDLE_FRAMES", 100)
    stage = Stage()
    gone, open_ = stage.ask(2)
    stage.connection.abandon(gone)
    stage.say(head(3, b"\x88", 0x4), frame(0x99) * 50)
    (other,) = stage.ask()
    stage.say(head(5))  # an answer to another: counted anew
    assert became(other) == 204
    stage.said()
    stage.say(chatter * 100)
    assert became(open_) is None
    stage.say(chatter)
    assert became(open_) == "malformed"
    assert stage.said()[-1].payload[4:] == b"\0\0\0\x0b"


# Room.
