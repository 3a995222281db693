"""A JSON document as input: an array, or an object with an array `sessions`, such as the API's own list.

It is taken wholly or not at all: first all of it is checked, then its entries are judged one by one as lines are.
They are found by regular expressions on the bytes, because 32 MiB of JSON can be 800 MiB of Python objects.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from reaper.core.errors import UsageError
from reaper.core.json_list import BLANKS, LIST_KEY, NoListError, entries
from reaper.intake.line_grammar import BOM, MAX_ENTRY_BYTES

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
SNIFF_BYTES = 8192
"""A document begins within so many bytes; blanks before it are passed over."""


def is_document(head: bytes | bytearray, *, at_end: bool) -> bool | None:
    """Return whether an input that begins so is a JSON document, not lines; None: more of it is needed.

    `[` is a document; `{` is one unless the first line is a whole object without `sessions`: then it is JSON lines.
    """
    text = head.removeprefix(BOM).lstrip(BLANKS)
    if not text or (len(head) < len(BOM) and BOM.startswith(head)):
        return None if len(head) < SNIFF_BYTES and not at_end else False
    if not text.startswith(b"{"):
        return text.startswith(b"[")
    end = text.find(b"\n")
    if end < 0 and not at_end:
        return None
    try:
        for _ in entries(text if end < 0 else text[:end]):
            break
    except NoListError:
        return False
    except ValueError:
        return True
    return True


class Document:
    """The bytes of a document, and the entries found in it. `source` names it in messages."""

    def __init__(self, source: str, max_bytes: int) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._bytes = bytearray()
        self._entries: Iterator[tuple[int, int]] = iter(())

    def feed(self, data: bytes) -> None:
        """Add the next bytes. Raises UsageError when they are too many."""
        if len(self._bytes) + len(data) > self._max_bytes:
            mib = self._max_bytes // (1024 * 1024)
            what_to_do = f"give JSON lines: {self._as_lines()}"
            raise UsageError(f"{self._source} is a JSON document of more than {mib} MiB; {what_to_do}")
        self._bytes += data

    def finish(self) -> None:
        """Check the whole document; after that `next` returns its entries. Raises UsageError with what to do."""
        if self._bytes.startswith(BOM):
            del self._bytes[: len(BOM)]
        try:
            _check_text(self._bytes)
            for _ in entries(self._bytes):
                pass
        except ValueError as fault:
            raise UsageError(f"{self._source} is refused whole: {fault}") from fault
        self._entries = entries(self._bytes)

    def next(self) -> bytes | None:
        """Return the next entry, None at the end; of one that is too long for `parse_entry` only its first bytes."""
        found = next(self._entries, None)
        if found is None:
            return None
        begin, end = found
        return bytes(self._bytes[begin : min(end, begin + MAX_ENTRY_BYTES + 1)])

    def _as_lines(self) -> str:
        return "jq -c '.[]'" if self._bytes.lstrip(BLANKS).startswith(b"[") else f"jq -c '.{LIST_KEY}[]'"


def _check_text(text: bytearray) -> None:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for at in range(0, len(text), 65_536):
            decode(text[at : at + 65_536], final=at + 65_536 >= len(text))
    except UnicodeDecodeError:
        raise ValueError("it is not valid UTF-8") from None
