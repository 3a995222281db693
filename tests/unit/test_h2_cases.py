"""Every case of `h2_cases.py`, without a socket: whole, in pieces, and cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.api.http.exchange import Exchange
from tests.support.http.h1 import cut, one_by_one
from tests.support.http.h2 import GOAWAY, HEADERS, RST, Frame, Stage, fates
from tests.support.http.h2_cases import CASES, JSON, Case


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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_the_peer_says_has_its_meaning_however_it_is_cut(case: Case) -> None:
    for way in (whole, *([one_by_one] if len(case.said) < 5000 else [])):
        stage, asked = play(case, way, way)
        check(case, stage, asked)
        stage.lose()
        assert None not in fates(asked)
        assert stage.owner.closed_count == 1
        assert stage.connection.room == 0


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.lists(st.integers(1, 40_000), max_size=6))
def test_pieces_do_not_matter(name: str, places: list[int]) -> None:
    check(CASES[name], *play(CASES[name], whole, lambda said: cut(said, places)))


@pytest.mark.parametrize("name", ["404 with JSON", "a head in parts", "interim answers", "trailers", "a padded body"])
def test_an_answer_that_is_cut_off_is_never_whole(name: str) -> None:
    case = CASES[name]
    for length in range(len(case.said)):
        stage, asked = play(replace(case, said=case.said[:length]), whole, whole)
        assert fates(asked) == [None, None, None]
        stage.connection.eof_received()
        stage.lose()
        assert fates(asked) == ["reset"] * 3


def test_what_an_answer_holds() -> None:
    one, *_ = play(CASES["404 with JSON"], whole, whole)[1]
    assert one.response_headers == [(b"content-length", b"%d" % len(JSON))]
    assert (bytes(one.body), one.whole, one.response_started) == (JSON, True, True)
    one, *_ = play(CASES["a body too long"], whole, whole)[1]
    assert (bytes(one.body), one.whole) == (b"x" * 1024, False)
    one, *_ = play(CASES["trailers"], whole, whole)[1]
    assert one.response_headers == []
    one, *_ = play(CASES["204 with headers"], whole, whole)[1]
    assert one.response_headers == [(b"server", b"x"), (b"date", b"now")]


def test_settings_and_pings_are_answered() -> None:
    stage = Stage(greet=False)
    stage.say(CASES["nothing"].first, b"\0\0\x08\x06\0\0\0\0\0pingpong")
    assert stage.said() == [Frame(4, 1, 0, b""), Frame(6, 1, 0, b"pingpong")]
