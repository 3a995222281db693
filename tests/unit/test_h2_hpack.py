"""Header blocks: ours as an independent decoder reads them, the peer's as an independent encoder makes them."""

from __future__ import annotations

from typing import Any

import pytest
from hpack import Encoder, NeverIndexedHeaderTuple

from reaper.api.http.h2 import decode as h2_decode
from reaper.api.http.h2 import encode as h2_encode
from reaper.api.http.h2.decode import BlockDecoder
from tests.support.http.h2 import SECRET, Stage, head, requests
from tests.support.http.h2 import settings as say_settings


@pytest.mark.parametrize("tls", [True, False])
def test_a_request(tls: bool) -> None:
    stage = Stage(tls=tls)
    stage.ask(target=b"/api/sessions/env_1")
    ((*fields,),) = requests(stage)
    assert fields == [
        (b":method", b"DELETE"),
        (b":scheme", b"https" if tls else b"http"),
        (b":authority", b"api.test"),
        (b":path", b"/api/sessions/env_1"),
        (b"user-agent", b"archal-reaper/0"),
        (b"accept", b"application/json"),
        (b"authorization", b"Bearer " + SECRET),
    ]
    assert [name for name, _ in filter(lambda field: isinstance(field, NeverIndexedHeaderTuple), fields)] == [
        b"authorization"
    ]


@pytest.mark.parametrize("length", [1, 2, 125, 126, 127, 128, 254, 255, 382, 383, 16_000, 16_383, 16_384, 40_000])
def test_targets_at_the_edges_of_their_length(length: int) -> None:
    stage = Stage()
    stage.ask(target=b"/" * length)
    ((*fields,),) = requests(stage)
    assert fields[3] == (b":path", b"/" * length)


def test_what_http2_forbids_is_left_out() -> None:
    stage = Stage()
    stage.ask(headers=((b"host", b"h"), (b"connection", b"close"), (b"keep-alive", b"5"), (b"a", b"b")))
    ((*fields,),) = requests(stage)
    assert [name for name, _ in fields] == [b":method", b":scheme", b":authority", b":path", b"a"]


def test_the_parts_that_stay_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = h2_encode.RequestTemplate

    def template(*parts: Any) -> h2_encode.RequestTemplate:
        made.append(parts)
        return real(*parts)

    monkeypatch.setattr(h2_encode, "RequestTemplate", template)
    stage = Stage()
    stage.ask(20)
    assert len(made) == 1
    stage.ask(method=b"GET")
    stage.ask(headers=((b"host", b"other"),))
    assert len(made) == 3
    assert requests(stage)[-1][2] == (b":authority", b"other")


def test_a_table_that_the_peer_shrinks_is_given_up_once() -> None:
    for size in (0, 100, 4095):
        stage = Stage((1, size))
        stage.ask(2)
        first, second = stage.said()
        assert first.payload[0] == 0x20
        assert second.payload[0] != 0x20
        assert first.payload[1:] == second.payload
        stage.say(say_settings((1, size), (1, 4096)))
        stage.ask()
        assert stage.said()[-1].payload == second.payload
        stage.say(say_settings((1, 10), (1, 9000)) if size else b"")
        stage.ask()
        assert (stage.said()[-1].payload[0] == 0x20) == bool(size)


@pytest.mark.parametrize("size", [4096, 65536])
def test_a_table_that_does_not_shrink_is_no_matter(size: int) -> None:
    stage = Stage((1, size))
    stage.ask()
    assert stage.said()[0].payload[0] != 0x20


# Answers.


def test_an_answer_that_was_seen_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    encoder = Encoder()
    encoder.header_table_size = 0
    first = encoder.encode([(b":status", b"204"), (b"server", b"x")])  # with the update of the table
    block = encoder.encode([(b":status", b"204"), (b"server", b"x")])
    seen = []
    asked = stage.ask(4)
    stage.say(head(1, first), head(3, block))
    monkeypatch.setattr(BlockDecoder, "decode", lambda *_: seen.append(1))
    stage.say(head(5, block), head(7, block))
    assert seen == []
    assert [one.status for one in asked] == [204] * 4
    assert [one.response_headers for one in asked] == [[(b"server", b"x")]] * 4
    assert asked[2].response_headers is not asked[3].response_headers


def test_what_is_remembered_is_forgotten_when_the_table_changes() -> None:
    decoder = BlockDecoder()
    decoder.decode(b"\x20\x89")
    block = b"\x89\x40\x01a\x01b"  # into the table, which holds nothing
    decoder.decode(block)
    decoder.remember(block, 204, [(b"a", b"b")])
    assert block in decoder.cached_responses
    decoder.decode(b"\x3f\xe1\x1f\x89")  # the table is back: now the block changes it
    assert block not in decoder.cached_responses
    decoder.decode(block)
    decoder.remember(block, 204, [(b"a", b"b")])
    assert block not in decoder.cached_responses
    assert decoder.decode(b"\x89\xbe")[0] == [(b":status", b"204"), (b"a", b"b")]
    assert b"\x89" in decoder.cached_responses


def test_memory_is_bounded() -> None:
    decoder = BlockDecoder()
    for at in range(3000):
        name = b"%06d" % at
        block = b"\x89\x00\x06" + name + b"\x7e" + b"v" * 126
        decoder.decode(block)
        decoder.remember(block, 204, [(name, b"")])
        assert len(decoder.cached_responses) <= h2_decode.MAX_CACHED_RESPONSES
        assert len(decoder.cached_fields) <= h2_decode.MAX_CACHED_FIELDS
    long = b"\x89\x00\x01a\x7f\x81\x1f" + b"v" * 4096
    decoder.decode(long)
    decoder.remember(long, 204, [])
    assert long not in decoder.cached_responses
    assert all(len(raw) <= h2_decode.MAX_CACHED_FIELD_BYTES for raw in decoder.cached_fields)
