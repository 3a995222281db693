"""Decodes the HPACK blocks of responses with the library `hpack`, and caches what it decoded.

SETTINGS announce a table of 0, and most servers comply: then a field has the same bytes each time and is decoded once.
Some servers keep the initial table of the protocol (RFC 9113, 4.3.1). Their blocks are read as well, so the library's
table follows every block, at its usual limit of 4096 bytes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS
from reaper.api.http.h2.frames import CONNECTION_SPECIFIC, Code, ConnectionFault, ResponseFault

_FIELD_OVERHEAD = 32
"""Bytes that a field counts beside those of its name and value (RFC 7541, 4.1)."""
MAX_CACHED_FIELDS = 256
MAX_CACHED_FIELD_BYTES = 512
MAX_CACHED_RESPONSES = 64
MAX_CACHED_RESPONSE_BYTES = 1024

_NAME = re.compile(rb":?[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_VALUE = re.compile(rb"[^\0\r\n]*").fullmatch
_STATIC: dict[int, tuple[bytes, bytes]] = {0x80 | at: pair for at, pair in enumerate(HeaderTable.STATIC_TABLE, 1)}

Field = tuple[bytes, bytes]


class CachedResponse(NamedTuple):
    """A response of one block, which ended its stream."""

    status: int
    headers: list[Field]


_STATUS_ONLY = {
    bytes((byte,)): CachedResponse(int(value), [])
    for byte, (name, value) in _STATIC.items()
    if name == b":status" and int(value) >= 200
}


class BlockDecoder:
    """Decodes the blocks of one connection, in order."""

    __slots__ = ("_context_free", "_hpack", "cached_fields", "cached_responses")

    def __init__(self) -> None:
        """Start with the initial table of the protocol."""
        self._hpack = Decoder(max_header_list_size=MAX_HEAD_BYTES)
        self.cached_fields: dict[bytes, Field] = {}
        """Fields by their bytes, as far as these do not depend on the table."""
        self._context_free = False
        self.cached_responses: dict[bytes, CachedResponse] = dict(_STATUS_ONLY)
        """Blocks that were complete responses. Their meaning does not depend on the blocks before them."""

    def decode(self, block: bytes) -> tuple[list[Field], int]:
        """Return the fields and their size (RFC 7541, 4.1).

        Raises ResponseFault for a field that is not allowed, and ConnectionFault for a block that cannot be decoded.
        """
        try:
            found = self._decode_by_field(block)
        except IndexError:  # ends within a field
            found = None
        except ResponseFault:
            if not self._hpack.header_table_size:
                raise
            found = None  # later fields of the block may go into the table
        self._context_free = found is not None
        return found or self._decode_with_table(block)

    def remember(self, block: bytes, status: int, headers: list[Field]) -> None:
        """Cache the response of the block decoded last, if it will mean the same again."""
        if self._context_free and len(block) <= MAX_CACHED_RESPONSE_BYTES:
            if len(self.cached_responses) >= MAX_CACHED_RESPONSES:
                self.cached_responses = dict(_STATUS_ONLY)
            self.cached_responses[block] = CachedResponse(status, headers)

    def _decode_by_field(self, block: bytes) -> tuple[list[Field], int] | None:
        """Decode field by field; return None when the dynamic table matters or a field is unusual."""
        found: list[Field] = []
        at = size = 0
        end = len(block)
        while at < end:
            first = block[at]
            if first >= 0x80:
                stop = at + 1
                field = _STATIC.get(first)
                if field is None:
                    return None
            else:
                stop = self._end_of_literal(block, at, first)
                if stop > end or not stop:
                    return None
                raw = block[at:stop]
                field = self.cached_fields.get(raw) or self._decode_literal(raw)
            found.append(field)
            size += len(field[0]) + len(field[1]) + _FIELD_OVERHEAD
            if size > MAX_HEAD_BYTES or len(found) > MAX_HEADERS:
                raise ResponseFault("the head of the answer is too long")
            at = stop
        return found, size

    def _end_of_literal(self, block: bytes, at: int, first: int) -> int:
        """Return the end of the literal at `at`, 0 when the dynamic table matters. May raise IndexError."""
        if first >= 0x40:
            if self._hpack.header_table_size:
                return 0
            limit = 0x3F
        elif first >= 0x20:
            return 0
        else:
            limit = 0x0F
        index = first & limit
        at += 1
        if index == limit:
            if block[at] > 61 - limit:
                return 0
            at += 1
        elif not index:
            at = _end_of_string(block, at)
        return _end_of_string(block, at)

    def _decode_literal(self, raw: bytes) -> Field:
        try:
            name, value = next(iter(self._hpack.decode(raw, raw=True)))
        except HPACKError as error:
            raise _undecodable(error) from error
        field = _checked(bytes(name), bytes(value))
        if len(raw) <= MAX_CACHED_FIELD_BYTES:
            if len(self.cached_fields) >= MAX_CACHED_FIELDS:
                self.cached_fields.clear()
            self.cached_fields[raw] = field
        return field

    def _decode_with_table(self, block: bytes) -> tuple[list[Field], int]:
        before = self._hpack.header_table_size
        try:
            found = list(self._hpack.decode(block, raw=True))
        except HPACKError as error:
            raise _undecodable(error) from error
        finally:
            if self._hpack.header_table_size != before:
                self.cached_responses = dict(_STATUS_ONLY)
        if len(found) > MAX_HEADERS:
            raise ResponseFault(f"the answer has more than {MAX_HEADERS} header lines")
        fields = [_checked(bytes(name), bytes(value)) for name, value in found]
        return fields, sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields)


def _end_of_string(block: bytes, at: int) -> int:
    length = block[at] & 0x7F
    if length < 0x7F:
        return at + 1 + length
    low = block[at + 1]
    if low < 0x80:
        return at + 2 + 0x7F + low
    high = block[at + 2]
    return at + 3 + 0x7F + (low & 0x7F) + (high << 7) if high < 0x80 else len(block) + 1


def _checked(name: bytes, value: bytes) -> Field:
    if _NAME(name) is None or _VALUE(value) is None:
        raise ResponseFault("the answer has a header that is none")
    if name in CONNECTION_SPECIFIC:
        raise ResponseFault(f"the answer has a header of another version of HTTP: {name.decode()}")
    return name, value.strip(b" \t")


def _undecodable(error: HPACKError) -> ConnectionFault:
    return ConnectionFault(Code.COMPRESSION_ERROR, f"a header block that cannot be decoded: {type(error).__name__}")
