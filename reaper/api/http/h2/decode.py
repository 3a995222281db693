"""Answers' HPACK blocks, read by the library `hpack` and remembered.

We announce a table of 0, and most servers comply: then a field is the same bytes each time, whoever sent it, and is
decoded once. Some servers keep the table that the protocol starts with (RFC 9113, 4.3.1, knows of them). They are
read as well, so the library's table follows every block, at its usual bound of 4096 bytes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS
from reaper.api.http.h2.frames import AnswerFault, Code, ConnectionFault

_OVERHEAD = 32
"""What a field counts for beside its bytes (RFC 7541, 4.1)."""
_MAX_FIELDS = 256
_MAX_FIELD_BYTES = 512
_MAX_ANSWERS = 64
_MAX_ANSWER_BYTES = 1024

_NAME = re.compile(rb":?[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_VALUE = re.compile(rb"[^\0\r\n]*").fullmatch
_NOT_HTTP2 = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_STATIC: dict[int, tuple[bytes, bytes]] = {0x80 | at: pair for at, pair in enumerate(HeaderTable.STATIC_TABLE, 1)}

Field = tuple[bytes, bytes]


class Known(NamedTuple):
    """A whole answer: a block that ended its stream."""

    status: int
    headers: list[Field]


_ALONE = {
    bytes((byte,)): Known(int(value), [])
    for byte, (name, value) in _STATIC.items()
    if name == b":status" and int(value) >= 200
}


class BlockDecoder:
    """Decodes the blocks of one connection, in their order."""

    __slots__ = ("_fields", "_hpack", "_pure", "answers")

    def __init__(self) -> None:
        """Start with the table that the protocol starts with."""
        self._hpack = Decoder(max_header_list_size=MAX_HEAD_BYTES)
        self._fields: dict[bytes, Field] = {}
        self._pure = False
        self.answers: dict[bytes, Known] = dict(_ALONE)
        """Blocks that were whole answers. What a block here means does not depend on the blocks before it."""

    def decode(self, block: bytes) -> tuple[list[Field], int]:
        """Return the fields and their size (RFC 7541, 4.1).

        Raises AnswerFault for a field that no answer may have, and ConnectionFault for a block that cannot be decoded.
        """
        try:
            found = self._apart(block)
        except IndexError:  # ends within a field
            found = None
        except AnswerFault:
            if not self._hpack.header_table_size:
                raise
            found = None  # what follows may go into the table
        self._pure = found is not None
        return found or self._whole(block)

    def learn(self, block: bytes, status: int, headers: list[Field]) -> None:
        """Remember what the last block meant, where it will mean the same again."""
        if self._pure and len(block) <= _MAX_ANSWER_BYTES:
            if len(self.answers) >= _MAX_ANSWERS:
                self.answers = dict(_ALONE)
            self.answers[block] = Known(status, headers)

    def _apart(self, block: bytes) -> tuple[list[Field], int] | None:
        """Decode field by field; None where the table has a say or something is not as usual."""
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
                field = self._fields.get(raw) or self._literal(raw)
            found.append(field)
            size += len(field[0]) + len(field[1]) + _OVERHEAD
            if size > MAX_HEAD_BYTES or len(found) > MAX_HEADERS:
                raise AnswerFault("the head of the answer is too long")
            at = stop
        return found, size

    def _end_of_literal(self, block: bytes, at: int, first: int) -> int:
        """Return where the field ends that starts at `at`; 0 where the table has a say. May raise IndexError."""
        if first >= 0x40:
            if self._hpack.header_table_size:
                return 0
            most = 0x3F
        elif first >= 0x20:
            return 0
        else:
            most = 0x0F
        index = first & most
        at += 1
        if index == most:
            if block[at] > 61 - most:
                return 0
            at += 1
        elif not index:
            at = _end_of_string(block, at)
        return _end_of_string(block, at)

    def _literal(self, raw: bytes) -> Field:
        try:
            name, value = next(iter(self._hpack.decode(raw, raw=True)))
        except HPACKError as error:
            raise _undecodable(error) from error
        field = _checked(bytes(name), bytes(value))
        if len(raw) <= _MAX_FIELD_BYTES:
            if len(self._fields) >= _MAX_FIELDS:
                self._fields.clear()
            self._fields[raw] = field
        return field

    def _whole(self, block: bytes) -> tuple[list[Field], int]:
        before = self._hpack.header_table_size
        try:
            found = list(self._hpack.decode(block, raw=True))
        except HPACKError as error:
            raise _undecodable(error) from error
        finally:
            if self._hpack.header_table_size != before:
                self.answers = dict(_ALONE)
        if len(found) > MAX_HEADERS:
            raise AnswerFault(f"the answer has more than {MAX_HEADERS} header lines")
        fields = [_checked(bytes(name), bytes(value)) for name, value in found]
        return fields, sum(len(name) + len(value) + _OVERHEAD for name, value in fields)


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
        raise AnswerFault("the answer has a header that is none")
    if name in _NOT_HTTP2:
        raise AnswerFault(f"the answer has a header of another version of HTTP: {name.decode()}")
    return name, value.strip(b" \t")


def _undecodable(error: HPACKError) -> ConnectionFault:
    return ConnectionFault(Code.COMPRESSION_ERROR, f"a header block that cannot be decoded: {type(error).__name__}")
