"""Any header block: ours as an independent decoder reads it, the peer's as an independent encoder makes it."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.api.http.exchange import MAX_HEAD_BYTES
from reaper.api.http.h2.decode import BlockDecoder, Field
from reaper.api.http.h2.frames import CONNECTION_SPECIFIC, Code, ConnectionFault, ResponseFault
from tests.support.http.h2 import Stage, exchange, requests

NAMES = st.from_regex(rb"[a-z0-9-]{1,20}", fullmatch=True).filter(lambda name: name not in CONNECTION_SPECIFIC)
COMMON = st.sampled_from([b"date", b"server", b"content-length", b"x-request-id", b"cf-ray", b"vary"])
VALUES = st.one_of(
    st.binary(max_size=300).map(lambda value: value.translate(None, b"\0\r\n").strip(b" \t")),
    st.sampled_from([b"", b"x", b"gzip, deflate", b"v" * 126, b"v" * 127, b"v" * 128, b"v" * 300, b"v" * 4900]),
)
STATUSES = st.sampled_from([b"200", b"204", b"404", b"418", b"503"])
FIELDS = st.lists(st.tuples(st.one_of(NAMES, COMMON), VALUES), max_size=12)


def decoded(decoder: BlockDecoder, block: bytes) -> tuple[str, object]:
    try:
        return "fields", decoder.decode(block)[0]
    except ResponseFault as fault:
        return "fault", fault.text
    except ConnectionFault as fault:
        return "broken", fault.code


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from([b"GET", b"DELETE"]), st.integers(0, 2)), max_size=8),
    st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple), min_size=3, max_size=3),
)
def test_any_request_is_read_as_it_was_meant(
    asked: list[tuple[int, bytes, int]], heads: list[tuple[tuple[bytes, bytes], ...]]
) -> None:
    stage = Stage()
    for length, method, which in asked:
        headers = ((b"host", b"h"), *heads[which])
        stage.connection.start(exchange(b"/" + b"x" * (length - 1), method, headers))
    stage.loop.settle()
    assert requests(stage) == [
        [
            (b":method", method),
            (b":scheme", b"https"),
            (b":authority", b"h"),
            (b":path", b"/" + b"x" * (length - 1)),
            *(pair for pair in heads[which] if pair[0] != b"host"),
        ]
        for length, method, which in asked
    ]


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # a head may be large
@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0, 0, 64, 4096]), st.lists(st.tuples(STATUSES, FIELDS, st.booleans()), min_size=1, max_size=8))
def test_any_head_is_read_as_it_was_meant(size: int, heads: list[tuple[bytes, list[Field], bool]]) -> None:
    encoder, decoder = Encoder(), BlockDecoder()
    encoder.header_table_size = size
    for status, fields, huffman in heads:
        expected = [(b":status", status), *fields]
        if sum(len(name) + len(value) + 32 for name, value in expected) > MAX_HEAD_BYTES:
            continue  # refused, which another test shows
        block = encoder.encode(expected, huffman=huffman)
        for _ in range(1 if size else 2):  # without a table, a block means the same each time
            found, weight = decoder.decode(block)
            assert found == expected
            assert all(type(name) is bytes and type(value) is bytes for name, value in found)
            assert weight == sum(len(name) + len(value) + 32 for name, value in expected)


FRAGMENTS = [
    b"\x20", b"\x3f\x21", b"\x89", b"\x88", b"\xbe", b"\x40\x01a\x01b", b"\x00\x01a\x01b", b"\x0f\x12\x01x",
    b"\x61\x01y",
    b"\x5f\x0a\x82\x00\x00", b"\x10\x01c\x00", b"\x7f\x00\x01x", b"\x0f\x2f\x00", b"\x00\x01A\x01b",
]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.lists(
                st.sampled_from(FRAGMENTS),
                max_size=8,
            ).map(b"".join),
        ),
        max_size=10,
    )
)
def test_any_bytes_mean_what_the_library_says(blocks: list[bytes]) -> None:
    ours, theirs = BlockDecoder(), Decoder(max_header_list_size=65536)
    for block in blocks:
        what, found = decoded(ours, block)
        try:
            expected = [(bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)]
        except HPACKError:
            assert what == "fault" or (what, found) == ("broken", Code.COMPRESSION_ERROR)
            return
        if what == "fields":
            assert found == [(name, value.strip(b" \t")) for name, value in expected]
        else:
            assert what == "fault"
