"""Every case of `h2_cases.py`, without a socket: whole, and byte by byte."""

from __future__ import annotations

import pytest

from tests.support.http.h1 import one_by_one
from tests.support.http.h2 import Frame, Stage, fates
from tests.support.http.h2_cases import CASES, JSON, Case
from tests.support.http.h2_play import check, play, whole


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_the_peer_says_has_its_meaning_however_it_is_cut(case: Case) -> None:
    for way in (whole, *([one_by_one] if len(case.said) < 5000 else [])):
        stage, asked = play(case, way, way)
        check(case, stage, asked)
        stage.lose()
        assert None not in fates(asked)
        assert stage.owner.closed_count == 1
        assert stage.connection.room == 0


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
