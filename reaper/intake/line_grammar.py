"""The grammar of input lines (docs/index.md). Pure."""

from __future__ import annotations

import json
import re

from reaper.core.ids import check_id
from reaper.core.model import SessionId
from reaper.core.text import printable
from reaper.core.times import parse_time
from reaper.queues.values import InvalidLine, NewItem

MAX_LINE_BYTES = 4096
"""A longer line is invalid, whatever it contains; measured without its newline."""

ID_KEYS = ("session_id", "sessionId", "id")
DUE_KEYS = ("due_at", "dueAt", "expires_at", "expiresAt")

BOM = b"\xef\xbb\xbf"

_plain = re.compile(rb"(?!archal_ws_)[A-Za-z0-9][A-Za-z0-9._:-]{0,127}").fullmatch


def parse(line: bytes, number: int) -> NewItem | InvalidLine | None:
    """Parse line `number` (1-based), given without its newline; None for a blank line or a comment. Never raises."""
    if number == 1 and line.startswith(BOM):
        line = line[len(BOM) :]
    word = line.strip()
    if _plain(word) and b".." not in word and len(line) <= MAX_LINE_BYTES:
        return NewItem(SessionId(word.decode("ascii")))
    if len(line) > MAX_LINE_BYTES:
        return InvalidLine(number, f"longer than {MAX_LINE_BYTES} bytes", printable(line))
    if not word or word.startswith(b"#"):
        return None
    try:
        return _object(word) if word.startswith(b"{") else NewItem(check_id(_text(word)))
    except ValueError as fault:
        return InvalidLine(number, str(fault), printable(word))


def _text(word: bytes) -> str:
    if b"\0" in word:
        raise ValueError("contains a NUL byte")
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not valid UTF-8") from None


def _object(word: bytes) -> NewItem:
    try:
        # Pairs, not a dict: in a dict the last of two contradictory keys would silently win.
        pairs: list[tuple[str, object]] = json.loads(_text(word), object_pairs_hook=list)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("not usable JSON: nested too deeply") from None
    ids = {check_id(_string(key, value)) for key, value in pairs if key in ID_KEYS}
    if not ids:
        raise ValueError("a JSON line without session_id (or sessionId, id)")
    if len(ids) > 1:
        raise ValueError("two different session IDs in one line")
    dues = {_due(key, value) for key, value in pairs if key in DUE_KEYS}
    if len(dues) > 1:
        raise ValueError("two different due times in one line")
    return NewItem(ids.pop(), dues.pop() if dues else None)


def _string(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} is {'null' if value is None else 'not a string'}")
    return value


def _due(key: str, value: object) -> float:
    text = _string(key, value)
    try:
        return parse_time(text)
    except ValueError as fault:
        raise ValueError(f"{key}: {fault}") from None
