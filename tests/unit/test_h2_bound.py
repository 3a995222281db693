"""The peer's bound on streams: kept, changed, told late, and who is told that there is room again."""

from __future__ import annotations

from reaper.api.http.h2 import connection as h2
from tests.support.http.h2 import (
    SETTINGS,
    Stage,
    exchange,
    fates,
    head,
    settings,
)

MAX_STREAMS = 3


def test_the_peers_bound_is_kept() -> None:
    stage = Stage((MAX_STREAMS, 2))
    assert stage.connection.room == 2
    asked = stage.ask(2)
    assert stage.connection.room == 0
    assert stage.owner.rooms == []
    stage.say(head(3))
    assert fates(asked) == [None, 204]
    assert stage.connection.room == 1
    assert stage.owner.rooms == [1]


def test_the_owner_is_told_once_that_there_is_room_again() -> None:
    stage = Stage((MAX_STREAMS, 3))
    stage.ask(3)
    stage.say(head(1), head(3), head(5))
    assert (stage.connection.room, stage.owner.rooms) == (3, [1])


def test_a_bound_that_changes() -> None:
    stage = Stage((MAX_STREAMS, 4))
    stage.ask(3)
    stage.say(settings((MAX_STREAMS, 1)))
    assert stage.connection.room == 0
    stage.say(head(1))
    stage.say(head(3))
    assert (stage.connection.room, stage.owner.rooms) == (0, [])
    stage.say(head(5))
    assert (stage.connection.room, stage.owner.rooms) == (1, [1])
    stage.say(settings((MAX_STREAMS, 0)))
    assert stage.connection.room == 0
    stage.say(settings((1, 4096)))  # not a word about streams
    assert stage.connection.room == 0
    stage.say(settings((MAX_STREAMS, 2**32 - 1)))
    assert (stage.connection.room, stage.owner.rooms) == (h2.MAX_STREAMS, [1, h2.MAX_STREAMS])


def test_before_the_peer_has_told_its_bound_one_request_is_written() -> None:
    stage = Stage(greet=False)
    assert stage.connection.room == h2.INITIAL_MAX_STREAMS
    asked = stage.ask(h2.INITIAL_MAX_STREAMS)
    assert stage.connection.room == 0
    assert [said.stream for said in stage.said()] == [1]
    stage.connection.abandon(asked.pop())
    asked += stage.ask()
    assert stage.said() == []
    stage.say(settings())
    assert [said.stream for said in stage.said()] == [0, *range(3, 2 * h2.INITIAL_MAX_STREAMS, 2)]
    assert stage.connection.room == h2.MAX_STREAMS - len(asked)
    assert stage.owner.rooms == [1, stage.connection.room]
    assert all(one.written for one in asked)


def test_what_has_no_place_when_the_bound_is_told_is_refused_unwritten() -> None:
    stage = Stage(greet=False)
    asked = stage.ask(10)
    stage.say(settings((MAX_STREAMS, 3)))
    assert fates(asked) == [None] * 3 + ["refused"] * 7
    assert [one.written for one in asked] == [True] * 3 + [False] * 7
    stage.said()
    stage.say(head(1))
    late = [exchange() for _ in range(1)]
    stage.connection.start(late[0])
    stage.connection.data_received(settings((MAX_STREAMS, 2)))  # before it is written
    stage.loop.settle()
    assert fates(late) == ["refused"]
    assert [said.kind for said in stage.said()] == [SETTINGS]


def test_an_owner_that_starts_more_as_soon_as_there_is_room() -> None:
    stage = Stage((MAX_STREAMS, 1))
    more = [exchange() for _ in range(20)]
    waiting = list(more)

    def on_available(connection: h2.H2Connection) -> None:
        while waiting and connection.room:
            connection.start(waiting.pop(0))

    stage.owner.on_available = on_available  # type: ignore[method-assign, assignment]
    on_available(stage.connection)
    for number in range(1, 41, 2):
        stage.loop.settle()
        assert [frame.stream for frame in stage.said()] == [number]
        assert stage.connection.room == 0
        stage.say(head(number))
    assert fates(more) == [204] * 20
    assert stage.connection.room == 1
