"""Content-Encoding that came unasked: what is decoded, what is refused, and the bounds."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from reaper.api.http.coding import CodingError, codings_of, decode

pytestmark = pytest.mark.anyio

BODY = b'{"sessions": [' + b'{"id": "env_1"},' * 1000 + b"{}]}"


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def gz(data: bytes, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("codings", "data"),
    [
        (["gzip"], gz(BODY)),
        (["x-gzip"], gz(BODY)),
        (["gzip"], gz(BODY[:100]) + gz(BODY[100:])),
        (["deflate"], zlib.compress(BODY)),
        (["deflate"], raw_deflate(BODY)),
        (["deflate", "gzip"], gz(zlib.compress(BODY))),
    ],
    ids=range(6),
)
async def test_it_is_decoded(codings: list[str], data: bytes) -> None:
    assert await decode(data, codings, max_bytes=len(BODY) + 1, whole=True) == BODY
    assert await decode(data, codings, max_bytes=100, whole=True) == BODY[:100]


@pytest.mark.parametrize(
    ("codings", "data"),
    [
        (["br"], b"\x0b\x02\x80abc\x03"),
        (["zstd"], b"\x28\xb5\x2f\xfd"),
        (["gzip"], b"not gzip"),
        (["gzip"], gz(BODY)[:-20]),
        (["gzip"], gz(BODY) + b"rubbish"),
        (["gzip"], gz(BODY)[:-8] + b"\0" * 8),
        (["deflate"], zlib.compress(BODY)[:-10]),
        (["deflate"], zlib.compress(BODY) + zlib.compress(BODY)),
        (["deflate"], b"\xff"),
        (["gzip", "br"], gz(BODY)),
        (["gzip"] * 3, gz(gz(gz(BODY)))),
        (["gzip"], gz(b"") * 2000),
        (["deflate", "gzip"], gz(b"")),
    ],
    ids=range(13),
)
async def test_what_cannot_be_decoded_is_named(codings: list[str], data: bytes) -> None:
    with pytest.raises(CodingError, match=codings[0]):
        await decode(data, codings, max_bytes=1 << 20, whole=True)


async def test_a_body_that_was_cut_is_decoded_as_far_as_it_goes() -> None:
    data = gz(bytes(range(256)) * 400, 1)
    got = await decode(data[:-40], ["gzip"], max_bytes=1 << 20, whole=False)
    assert len(got) > 0
    assert (bytes(range(256)) * 400).startswith(got)


async def test_a_bomb_costs_no_more_than_the_bound() -> None:
    bomb = gz(gz(b"\0" * (1 << 28)))  # 256 MiB
    assert len(bomb) < 64 * 1024
    tracemalloc.start()
    try:
        got = await decode(bomb, ["gzip", "gzip"], max_bytes=64 * 1024, whole=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got == b"\0" * (64 * 1024) or len(got) <= 64 * 1024
    assert peak < 2 * 1024 * 1024


def test_the_names_of_codings() -> None:
    headers = [
        (b"content-encoding", b" GZip , identity"),
        (b"x", b"y"),
        (b"content-encoding", b"br,,\x1b[31m" + b"x" * 99),
    ]
    assert codings_of(headers) == ["gzip", "br", "[31m" + "x" * 36]
