"""Encodes requests as HEADERS frames: static table and literals only, so the peer's table stays empty (RFC 7541)."""

from __future__ import annotations

from collections.abc import Iterable

from hpack.table import HeaderTable

from reaper.api.http.exchange import Exchange, Headers
from reaper.api.http.h2.frames import (
    CONNECTION_SPECIFIC,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADER,
    HEADERS,
    MAX_FRAME,
    frame,
)

TABLE_SIZE_0 = b"\x20"
"""Dynamic table size update to 0: must open the next block after the peer reduced the table (RFC 7541, 4.2)."""

_STATIC_FIELDS = {field: at for at, field in enumerate(HeaderTable.STATIC_TABLE, 1)}
_STATIC_NAMES: dict[bytes, int] = {}
for _at, (_name, _) in enumerate(HeaderTable.STATIC_TABLE, 1):
    _STATIC_NAMES.setdefault(_name, _at)

_SECRET = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
_NOT_SENT = CONNECTION_SPECIFIC | {b"host"}
_WITHOUT_INDEXING = 0x00
_NEVER_INDEXED = 0x10
"""No intermediary may index it either: the size of later blocks would let an attacker guess a secret in a table."""
_WHOLE = END_STREAM | END_HEADERS
_SHORT = 0x7F
"""Targets below this length have it in one byte."""


class RequestTemplate:
    """The parts of a block before and after the target; the same for all requests with these headers."""

    __slots__ = ("after_path", "before_path", "size")

    def __init__(self, method: bytes, scheme: bytes, headers: Headers) -> None:
        """Encode the headers: `host` becomes `:authority`, forbidden fields are omitted. Names are in lower case."""
        pseudo = [(b":method", method), (b":scheme", scheme)]
        pseudo.extend((b":authority", value) for name, value in headers if name == b"host")
        path = integer(_WITHOUT_INDEXING, 4, _STATIC_NAMES[b":path"])
        self.before_path = b"".join(_field(*pair) for pair in pseudo) + path
        self.after_path = b"".join(_field(*pair) for pair in headers if pair[0] not in _NOT_SENT)
        self.size = len(self.before_path) + 1 + len(self.after_path)
        """Bytes of the block with a short target, without that target."""


class RequestEncoder:
    """Encodes the requests of one connection, and keeps the template while method and headers stay the same."""

    __slots__ = ("_headers", "_method", "_template", "scheme", "table_update_due")

    def __init__(self) -> None:
        self.scheme = b"http"
        self.table_update_due = False
        """The next block opens with a dynamic table size update."""
        self._template: RequestTemplate
        self._headers: Headers | None = None
        self._method = b""

    def encode(self, exchanges: Iterable[Exchange], stream: int, out: list[bytes]) -> int:
        """Append each request's frames to `out`, mark it as written, and return the next unused stream.

        `stream`: that of the first request; streams of a client are odd.
        """
        pack = HEADER.pack
        for exchange in exchanges:
            if exchange.headers is not self._headers or exchange.method != self._method:
                self._headers, self._method = exchange.headers, exchange.method
                self._template = RequestTemplate(exchange.method, self.scheme, exchange.headers)
            target, template = exchange.target, self._template
            length = len(target)
            size = template.size + length
            if length < _SHORT and size <= MAX_FRAME and not self.table_update_due:
                header = pack(0, size, HEADERS, _WHOLE, stream)
                out.append(b"%b%b%c%b%b" % (header, template.before_path, length, target, template.after_path))
            else:
                out.append(_long_request(template, target, stream, table_update=self.table_update_due))
                self.table_update_due = False
            exchange.written = True
            stream += 2
        return stream


def _long_request(template: RequestTemplate, target: bytes, stream: int, *, table_update: bool) -> bytes:
    """Return the frames of a request that is long or opens with TABLE_SIZE_0."""
    opening = TABLE_SIZE_0 if table_update else b""
    block = b"".join((opening, template.before_path, integer(0, 7, len(target)), target, template.after_path))
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
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((first | value,))
    encoded = bytearray((first | limit,))
    value -= limit
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(name: bytes, value: bytes) -> bytes:
    secret = name in _SECRET
    if not secret and (name, value) in _STATIC_FIELDS:
        return integer(0x80, 7, _STATIC_FIELDS[name, value])
    index = _STATIC_NAMES.get(name, 0)
    literal = integer(_NEVER_INDEXED if secret else _WITHOUT_INDEXING, 4, index)
    if not index:
        literal += integer(0, 7, len(name)) + name
    return literal + integer(0, 7, len(value)) + value
