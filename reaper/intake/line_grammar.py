"""The grammar of input lines, and of the entries of a JSON document (docs/input.md). Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from reaper.core.ids import NO_VALUES, TITLES, TOKEN_PREFIX, check_id
from reaper.core.model import SessionId
from reaper.core.text import printable
from reaper.core.times import parse_time
from reaper.queues.values import InvalidLine, NewItem

MAX_LINE_BYTES = 4096
"""A longer line is invalid, whatever it contains; measured without its newline."""

MAX_ENTRY_BYTES = 64 * 1024
"""A longer entry of a document is too long even without its blanks."""

ID_KEYS = ("session_id", "sessionId")
BARE_ID = "id"
"""The key that names a session only where nothing says that the object is something else."""
OTHER_KEYS = ("type", "event")
"""Keys of objects that are no sessions: events, log records, resources of several kinds."""
DUE_KEYS = ("due_at", "dueAt", "expires_at", "expiresAt")

BOM = b"\xef\xbb\xbf"

Pairs = tuple[tuple[str, object], ...]
"""A JSON object. Not a dict: there the last of two contradictory keys would silently win."""

_plain = re.compile(
    rb"(?!%b|(?i:%b)\Z)[A-Za-z0-9][A-Za-z0-9._:-]{0,127}" % (TOKEN_PREFIX.encode(), "|".join(NO_VALUES).encode())
).fullmatch


@dataclass(frozen=True, slots=True)
class Title:
    """A column title on the first line of a source: it is skipped, and that is said."""

    text: str

    @property
    def note(self) -> str:
        return f"the first line, {self.text}, is a column title and was skipped"


def parse(line: bytes, number: int, first: int = 1) -> NewItem | InvalidLine | Title | None:
    """Parse line `number` (1-based), given without its newline; None for a blank line or a comment. Never raises.

    `first`: the number of the first line that is neither, which may be a column title.
    """
    word = line.removeprefix(BOM).strip()
    if number == first and word.lower() in _TITLES:
        return Title(word.decode("ascii"))
    if _plain(word) and b".." not in word and len(line) <= MAX_LINE_BYTES:
        return NewItem(SessionId(word.decode("ascii")))
    if len(line) > MAX_LINE_BYTES:
        return InvalidLine(number, f"longer than {MAX_LINE_BYTES} bytes", printable(line))
    if not word or word.startswith(b"#"):
        return None
    try:
        return item_of(_decoded(word)) if word.startswith(b"{") else NewItem(check_id(_text(word)))
    except ValueError as fault:
        return InvalidLine(number, str(fault), printable(word))


def parse_entry(entry: bytes, number: int) -> NewItem | InvalidLine | Title:
    """Parse entry `number` (1-based) of a JSON document, which is valid JSON, as a line. Never raises."""
    try:
        value = decode(_text(entry)) if len(entry) <= MAX_ENTRY_BYTES else None
        if len(entry) > MAX_LINE_BYTES and (value is None or _compact_bytes(value) > MAX_LINE_BYTES):
            return InvalidLine(number, f"longer than {MAX_LINE_BYTES} bytes", printable(entry))
        if isinstance(value, tuple):
            return item_of(value)
        if value is not None and not isinstance(value, str):
            raise ValueError("an entry must be a session ID or an object with session_id")
        word = "null" if value is None else value.strip()
        if number == 1 and word.lower() in TITLES:
            return Title(word)
        return NewItem(check_id(word))
    except ValueError as fault:
        return InvalidLine(number, str(fault), printable(entry))


def item_of(pairs: Pairs) -> NewItem:
    """Return the item that a JSON object names. Raises ValueError with the reason when it names none, or two."""
    ids = {check_id(_string(key, value)) for key, value in pairs if key in ID_KEYS}
    if not ids:
        ids = {check_id(_string(key, value)) for key, value in pairs if key == BARE_ID}
        if ids and (doubt := _doubt(pairs)):
            raise ValueError(f"an id beside {doubt} may be that of something else; if not: jq -c '{{session_id: .id}}'")
    if not ids:
        raise ValueError("a JSON object without session_id (or sessionId, id)")
    if len(ids) > 1:
        raise ValueError("two different session IDs in one object")
    dues = {_due(key, value) for key, value in pairs if key in DUE_KEYS}
    if len(dues) > 1:
        raise ValueError("two different due times in one object")
    return NewItem(ids.pop(), dues.pop() if dues else None)


def decode(text: str) -> object:
    """Return the value of a JSON text, its objects as `Pairs`. Raises ValueError with a sentence."""
    try:
        value: object = json.loads(text, object_pairs_hook=tuple)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("not usable JSON: nested too deeply") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise ValueError("not usable JSON: a number in it has too many digits") from None
    return value


_TITLES = frozenset(title.encode() for title in TITLES)


def _decoded(word: bytes) -> Pairs:
    value = decode(_text(word))
    assert isinstance(value, tuple)
    return value


def _compact_bytes(value: object) -> int:
    """Return the length of a value as a line of its own, which has no blanks between its parts."""
    if isinstance(value, tuple):
        return 2 + sum(2 + _compact_bytes(key) + _compact_bytes(inner) for key, inner in value) - bool(value)
    if isinstance(value, list):
        return 2 + sum(1 + _compact_bytes(inner) for inner in value) - bool(value)
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _text(word: bytes) -> str:
    if b"\0" in word:
        raise ValueError("contains a NUL byte")
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not valid UTF-8") from None


def _doubt(pairs: Pairs) -> str | None:
    """Return what makes it doubtful that a bare `id` is a session's: a key, or an object inside; None for nothing."""
    for key, value in pairs:
        if key.lower() in OTHER_KEYS or key.lower().startswith("session"):
            return f"'{printable(key.encode('utf-8', 'backslashreplace'))}'"
        if _holds_object(value):
            return "a nested object"
    return None


def _holds_object(value: object) -> bool:
    return isinstance(value, tuple) or (isinstance(value, list) and any(map(_holds_object, value)))


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
