"""Requests as HPACK blocks, by hand: static table and literals only, so the peer remembers nothing (RFC 7541)."""

from __future__ import annotations

from hpack.table import HeaderTable

from reaper.api.http.exchange import Headers
from reaper.api.http.h2.frames import CONTINUATION, END_HEADERS, END_STREAM, HEADERS, MAX_FRAME, frame

FORGET = b"\x20"
"""Dynamic table size update to 0: must open the block that follows the peer's shrinking of the table."""

_WHOLE = {pair: at for at, pair in enumerate(HeaderTable.STATIC_TABLE, 1)}
_NAMES: dict[bytes, int] = {}
for _at, (_name, _) in enumerate(HeaderTable.STATIC_TABLE, 1):
    _NAMES.setdefault(_name, _at)

_SECRET = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
_NOT_HTTP2 = frozenset({b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_WITHOUT_INDEXING = 0x00
_NEVER_INDEXED = 0x10
"""Nobody on the way may put it into a table either: a secret there can be guessed by the size of later blocks."""


class Heads:
    """The parts of a block before and after the target; the same for all requests with these headers."""

    __slots__ = ("back", "front")

    def __init__(self, method: bytes, scheme: bytes, headers: Headers) -> None:
        """`headers`: lower-case names; `host` becomes `:authority`, what HTTP/2 forbids is left out."""
        pseudo = [(b":method", method), (b":scheme", scheme)]
        pseudo.extend((b":authority", value) for name, value in headers if name == b"host")
        self.front = b"".join(_field(*pair) for pair in pseudo) + integer(_WITHOUT_INDEXING, 4, _NAMES[b":path"])
        self.back = b"".join(_field(*pair) for pair in headers if pair[0] not in _NOT_HTTP2)


def request(heads: Heads, target: bytes, stream: int, *, forget: bool) -> bytes:
    """Return the frames of one request: the way for those that are long or open with FORGET."""
    block = b"".join((FORGET if forget else b"", heads.front, integer(0, 7, len(target)), target, heads.back))
    pieces = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)]
    frames = [
        frame(
            CONTINUATION if at else HEADERS,
            (0 if at else END_STREAM) | (END_HEADERS if at == len(pieces) - 1 else 0),
            stream,
            piece,
        )
        for at, piece in enumerate(pieces)
    ]
    return b"".join(frames)


def integer(first: int, bits: int, value: int) -> bytes:
    """Return an integer whose first byte has `bits` bits for it and the rest as in `first` (RFC 7541, 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    made = bytearray((first | most,))
    value -= most
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def _field(name: bytes, value: bytes) -> bytes:
    secret = name in _SECRET
    if not secret and (name, value) in _WHOLE:
        return integer(0x80, 7, _WHOLE[name, value])
    index = _NAMES.get(name, 0)
    literal = integer(_NEVER_INDEXED if secret else _WITHOUT_INDEXING, 4, index)
    if not index:
        literal += integer(0, 7, len(name)) + name
    return literal + integer(0, 7, len(value)) + value
