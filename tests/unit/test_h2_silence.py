"""A silent peer of an HTTP/2 connection: asked for a sign, and left without one."""

from __future__ import annotations

from reaper.api.http.h2 import connection as h2
from tests.support.http.h2 import (
    PING,
    RST,
    Stage,
    became,
    frame,
)


def test_a_silent_peer_is_asked_for_a_sign_and_left_without_one() -> None:
    stage = Stage()
    late, other = stage.ask(2)
    stage.said()
    stage.loop.advance(20)
    stage.connection.abandon(late)
    stage.loop.settle()
    assert [said.kind for said in stage.said()] == [RST, PING]
    assert stage.connection.room == 0
    stage.loop.advance(h2.PROBE_TIMEOUT_S)
    assert became(other) == "reset"
    assert stage.wire.aborted
    stage.lose()
    assert stage.owner.closed_count == 1


def test_a_sign_is_enough() -> None:
    stage = Stage()
    late, other = stage.ask(2)
    stage.loop.advance(20)
    stage.connection.abandon(late)
    assert stage.connection.room == 0
    stage.say(frame(PING, 1, 0, b"anybody?"))
    assert stage.connection.room == h2.MAX_STREAMS - 1
    assert stage.owner.rooms == [0, h2.MAX_STREAMS - 1]
    stage.loop.advance(100)
    assert became(other) is None
    assert not stage.wire.closed


def test_a_peer_that_talks_is_not_asked() -> None:
    stage = Stage()
    late, _ = stage.ask(2)
    stage.loop.advance(20)
    stage.say(frame(0x99))
    stage.loop.advance(h2.SILENCE_S / 2)
    stage.said()
    stage.connection.abandon(late)
    stage.loop.settle()
    assert [said.kind for said in stage.said()] == [RST]
    assert stage.connection.room > 0
