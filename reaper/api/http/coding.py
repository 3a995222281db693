"""Decodes a body whose Content-Encoding came unasked (RFC 9110, 8.4.1), within the bound of what is kept of a body.

The standard library knows gzip and deflate. Every request asks for `identity`, but some gateways compress whatever they
pass on.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence

from reaper.api.http.exchange import Headers

MAX_CODINGS = 2
"""Codings of one body, one inside the other. More is an attack."""
MAX_MEMBERS = 1000
"""Streams of gzip in one body (RFC 1952, 2.2). More is an attack: empty ones cost time and give nothing."""
_STEP_BYTES = 64 * 1024
_TURN_BYTES = 1024 * 1024
"""Bytes decoded in one turn of the event loop, about 3 ms."""
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW = -15
"""Deflate without the header of zlib, as some servers send it."""


class CodingError(Exception):
    """The body cannot be decoded. The text is the names of its codings."""


def codings_of(headers: Headers) -> list[str]:
    """Return the codings of a body in the order in which they were applied; names in lower case."""
    values = b",".join(value for name, value in headers if name == b"content-encoding").decode("latin-1")
    names = ["".join(c for c in name if c.isprintable()).strip().lower()[:40] for name in values.split(",")]
    return [name for name in names if name not in ("", "identity")]


async def decode(body: bytes, codings: Sequence[str], *, max_bytes: int, whole: bool) -> bytes:
    """Return the body without its codings, at most `max_bytes` of it. `whole`: the body itself was not cut.

    Raises CodingError for an unknown coding, for more than two, and for a stream that is broken or ends early.
    """
    shown = ", ".join(codings[:4])
    if len(codings) > MAX_CODINGS:
        raise CodingError(shown)
    for coding in reversed(codings):
        if coding not in _WINDOW_BITS or not body:
            raise CodingError(shown)
        try:
            inner = await _decompress(body, coding, max_bytes, whole)
        except (zlib.error, EOFError):
            raise CodingError(shown) from None
        whole = whole and len(inner) < max_bytes
        body = inner
    return body


async def _decompress(body: bytes, coding: str, max_bytes: int, whole: bool) -> bytes:
    bits = _WINDOW_BITS[coding]
    if coding == "deflate" and not (body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0):
        bits = _RAW
    stream, members = zlib.decompressobj(bits), 1
    out = bytearray()
    since = 0
    for at in range(0, len(body), _STEP_BYTES):
        piece = body[at : at + _STEP_BYTES]
        while piece:
            if stream.eof:
                members += 1
                if coding == "deflate" or members > MAX_MEMBERS:
                    raise EOFError
                stream = zlib.decompressobj(bits)
            part = stream.decompress(piece, _STEP_BYTES)
            piece = stream.unused_data if stream.eof else stream.unconsumed_tail
            out += part
            since += len(part) + 1024
            if len(out) >= max_bytes:
                return bytes(out[:max_bytes])
            if since >= _TURN_BYTES:
                since = 0
                await asyncio.sleep(0)
    while not stream.eof and (part := stream.decompress(b"", _STEP_BYTES)):
        out += part
        if len(out) >= max_bytes:
            return bytes(out[:max_bytes])
    if whole and not stream.eof:
        raise EOFError
    return bytes(out)
