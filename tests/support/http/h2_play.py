"""Plays a case of `h2_cases.py` to a connection without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reaper.api.http.exchange import Exchange
from tests.support.http.h2 import GOAWAY, HEADERS, RST, Stage, fates
from tests.support.http.h2_cases import Case


def play(case: Case, *ways: Callable[[bytes], Iterable[bytes]]) -> tuple[Stage, list[Exchange]]:
    """Let the peer say its first words, then the rest, each cut in the given way."""
    stage = Stage(greet=False)
    asked = stage.ask(3)
    for way, data in zip(ways, (case.first, case.said), strict=True):
        for piece in way(data):
            if piece:
                stage.say(piece)
    return stage, asked


def whole(data: bytes) -> list[bytes]:
    return [data]


def check(case: Case, stage: Stage, asked: list[Exchange]) -> None:
    said = [frame for frame in stage.said() if frame.kind != HEADERS]
    assert fates(asked) == case.fates
    assert [frame.payload[4:] for frame in said if frame.kind == GOAWAY] == (
        [] if case.code is None else [case.code.to_bytes(4, "big")]
    )
    assert {frame.stream: frame.number for frame in said if frame.kind == RST} == case.resets
    assert stage.wire.closed == (case.code is not None)
    assert all(len(one.body) <= one.max_body_bytes for one in asked)
