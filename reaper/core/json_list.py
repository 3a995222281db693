"""Finds the entries of a JSON list, an array or an object with an array `sessions`, in text of any size. Pure.

By regular expressions on the bytes, because 32 MiB of JSON can be 800 MiB of Python objects: whoever needs an entry
decodes it alone. Each step is short, so that another thread need not wait for long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from functools import cache

from reaper.core.text import json_value

MAX_DEPTH = 500
LIST_KEY = "sessions"
BLANKS = b" \t\r\n"
BOM = b"\xef\xbb\xbf"
SMALL_BYTES = 64 * 1024
"""So much of a text is looked at for how it begins."""
AT_ONCE_BYTES = 5 * 1024 * 1024
"""Up to here a list is decoded at once: 11,000 sessions, 60 ms, 30 MiB; entry by entry it takes four times as long."""
MAX_DECODED_BYTES = 64 * 1024
"""Of a longer entry only the short members are decoded."""
MAX_MEMBER_BYTES = 4 * 1024
"""A longer member is none that is read: an ID, a status or a time."""
MAX_RUN = 64
"""Elements or members that one step passes at most, at each of three levels."""

_A_LIST = "an input that begins with [ is read as one JSON list"
_ONE_A_LINE = "objects in a row must stand on one line each: jq -c ."
_NO_COMMAS = "take the commas between its objects away, or put [ and ] around all of them"
_BLANK = rb"[ \t\r\n]*+"
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_SCALAR = rb"(?:%b|-?+(?:0|[1-9][0-9]*+)(?>(?:\.[0-9]++)?)(?>(?:[eE][+-]?+[0-9]++)?)|true|false|null)" % _STRING

_KEY = rb"%b%b:%b" % (_STRING, _BLANK, _BLANK)
_OBJECT = ord("{")

_blank = re.compile(_BLANK)
_key = re.compile(rb"(%b)%b:%b" % (_STRING, _BLANK, _BLANK))


class NoListError(ValueError):
    """The JSON text is one whole object, and it has no array `sessions`."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The short members that stand beside the array: those whose key is `wanted`, as they are found."""

    wanted: Callable[[str], bool]
    found: dict[str, object] = field(default_factory=dict)


def is_session_list(text: bytes) -> bool:
    """Return whether a text is one whole JSON object with an array `sessions`."""
    if len(text) <= AT_ONCE_BYTES:
        return decoded_object(text) is not None
    try:
        for _ in session_entries(text):
            pass
    except ValueError:
        return False
    return True


def decoded_object(text: bytes) -> dict[str, object] | None:
    """Return a text with an array `sessions`, decoded at once; None where there is none, or the text is too long.

    That takes lists that `session_entries` refuses: with NaN in them, which many servers write, or a key twice.
    """
    value = json_value(text) if len(text) <= AT_ONCE_BYTES else None
    return value if isinstance(value, dict) and isinstance(value.get(LIST_KEY), list) else None


def session_entries(text: bytes, read: Collection[str] = (), beside: Beside | None = None) -> Iterator[object]:
    """Yield each entry of an object's array `sessions`, decoded; of a very long one only the members named in `read`.

    What stands `beside` the array is complete at the end. Raises ValueError, at the latest at the end, where the text
    is no such object.
    """
    begin = len(BOM) if text.startswith(BOM) else 0
    if not text[begin : begin + SMALL_BYTES].lstrip(BLANKS).startswith(b"{"):
        raise ValueError("it is no JSON object")
    for at, end in entries(text, begin, beside):
        yield json.loads(text[at:end]) if end - at <= MAX_DECODED_BYTES else _short_members(text, at, read)


def _short_members(text: bytes, at: int, read: Collection[str]) -> dict[str, object] | None:
    """Return the named members of the object at `at`, long ones as their bytes; None where there is no object."""
    if not text.startswith(b"{", at):
        return None
    found: dict[str, object] = {}
    at = _skip_blanks(text, at + 1)
    while not text.startswith(b"}", at):
        key, at = _read_key(text, at)
        end = _end_of_value(text, at)
        if key in read:
            found[key] = json.loads(text[at:end]) if end - at <= MAX_MEMBER_BYTES else text[at : at + MAX_MEMBER_BYTES]
        at = _skip_blanks(text, end)
        if text.startswith(b",", at):
            at = _skip_blanks(text, at + 1)
    return found


def entries(text: bytes | bytearray, at: int = 0, beside: Beside | None = None) -> Iterator[tuple[int, int]]:
    """Yield where each entry of a document begins and ends. Raises ValueError where the text is no document."""
    at = _skip_blanks(text, at)
    lacks_list = False
    if text.startswith(b"[", at):
        at = yield from _elements(text, at)
    elif text.startswith(b"{", at):
        at, lacks_list = yield from _members(text, at, beside)
    else:
        raise _fault(text, at)
    at = _skip_blanks(text, at)
    if at < len(text):
        what_to_do = _NO_COMMAS if text.startswith(b",", at) else _ONE_A_LINE
        raise ValueError(f"behind its JSON document stands more ({_place(text, at)}); {what_to_do}")
    if lacks_list:
        raise NoListError(f"its JSON object has no array '{LIST_KEY}'; {_ONE_A_LINE}")


def _elements(text: bytes | bytearray, at: int) -> Generator[tuple[int, int], None, int]:
    """Yield the elements of the array at `at`; return where it ends."""
    at = _skip_blanks(text, at + 1)
    if text.startswith(b"]", at):
        return at + 1
    while True:
        end = _end_of_value(text, at)
        yield at, end
        at = _skip_blanks(text, end)
        if text.startswith(b"]", at):
            return at + 1
        if not text.startswith(b",", at):
            raise _fault(text, at)
        at = _skip_blanks(text, at + 1)


def _members(
    text: bytes | bytearray, at: int, beside: Beside | None
) -> Generator[tuple[int, int], None, tuple[int, bool]]:
    """Yield the elements of the array `sessions` of the object at `at`; return its end and whether it has none."""
    at = _skip_blanks(text, at + 1)
    if text.startswith(b"}", at):
        return at + 1, True
    lacks_list = True
    while True:
        key, at = _read_key(text, at)
        if key == LIST_KEY:
            if not lacks_list:
                raise ValueError(f"it has two lists '{LIST_KEY}'")
            if not text.startswith(b"[", at):
                raise ValueError(f"its '{LIST_KEY}' is not an array ({_place(text, at)})")
            at = yield from _elements(text, at)
            lacks_list = False
        else:
            end = _end_of_value(text, at)
            if beside is not None and beside.wanted(key) and end - at <= MAX_MEMBER_BYTES:
                beside.found[key] = json_value(bytes(text[at:end]))
            at = end
        at = _skip_blanks(text, at)
        if text.startswith(b"}", at):
            return at + 1, lacks_list
        if not text.startswith(b",", at):
            raise _fault(text, at)
        at = _skip_blanks(text, at + 1)


def _end_of_value(text: bytes | bytearray, at: int) -> int:
    """Return where the value at `at` ends. Raises ValueError where the text is not JSON or is nested too deeply."""
    value, run_of_elements, run_of_members = _flat()
    open_brackets = bytearray()
    while True:
        flat = (run_of_members if open_brackets[-1] == _OBJECT else run_of_elements) if open_brackets else value
        if found := flat.match(text, at):
            at = found.end()
        elif text.startswith((b"[", b"{"), at):
            open_brackets.append(text[at])
            if len(open_brackets) > MAX_DEPTH:
                raise ValueError(f"it is nested too deeply ({_place(text, at)})")
            at = _skip_blanks(text, at + 1)
            if open_brackets[-1] == _OBJECT:
                at = _read_key(text, at)[1]
            continue
        else:
            raise _fault(text, at)
        while open_brackets:
            at = _skip_blanks(text, at)
            is_object = open_brackets[-1] == _OBJECT
            if text.startswith(b",", at):
                at = _skip_blanks(text, at + 1)
                if is_object:
                    at = _read_key(text, at)[1]
                break
            if not text.startswith(b"}" if is_object else b"]", at):
                raise _fault(text, at)
            open_brackets.pop()
            at += 1
        else:
            return at


@cache
def _flat() -> tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]:
    """Return the pattern of a JSON value of at most two levels, and those of runs of such elements and members.

    They never backtrack. A run of members begins with a value, and ends with one. Groups are atomic, `(?>(?:…)?)`, and
    not repeated possessively, `(?:…)?+`: Python before 3.11.5 matches those wrongly (gh-106052).
    """
    value = _SCALAR
    for _ in range(2):
        elements, members = _runs(value)
        in_array, in_object = rb"(?>(?:%b%b)?)" % (elements, _BLANK), rb"(?>(?:%b%b%b)?)" % (_KEY, members, _BLANK)
        value = rb"(?:%b|\[%b%b\]|\{%b%b\})" % (_SCALAR, _BLANK, in_array, _BLANK, in_object)
    elements, members = _runs(value)
    return re.compile(value), re.compile(elements), re.compile(members)


def _runs(value: bytes) -> tuple[bytes, bytes]:
    comma = rb"%b,%b" % (_BLANK, _BLANK)
    more = rb"{0,%d}" % MAX_RUN
    return rb"%b(?>(?:%b%b)%b)" % (value, comma, value, more), rb"%b(?>(?:%b%b%b)%b)" % (
        value,
        comma,
        _KEY,
        value,
        more,
    )


def _read_key(text: bytes | bytearray, at: int) -> tuple[str, int]:
    """Return the key of the member at `at`, and where its value begins."""
    found = _key.match(text, at)
    if found is None:
        raise _fault(text, at)
    return str(json.loads(found[1])) if len(found[1]) <= 80 else "", found.end()


def _skip_blanks(text: bytes | bytearray, at: int) -> int:
    found = _blank.match(text, at)
    return at if found is None else found.end()


def _fault(text: bytes | bytearray, at: int) -> ValueError:
    why = "its JSON ends too early" if at >= len(text) else "it is not valid JSON"
    if text.startswith((b"]", b"}"), at) and text[max(0, at - SMALL_BYTES) : at].rstrip(BLANKS).endswith(b","):
        return ValueError(f"{why} ({_place(text, at)}): take the comma before the bracket away")
    is_list = text.startswith(b"[", _skip_blanks(text, 0))
    return ValueError(f"{why} ({_place(text, at)}); {_A_LIST if is_list else _ONE_A_LINE}")


def _place(text: bytes | bytearray, at: int) -> str:
    newline = b"\n"
    return f"line {text.count(newline, 0, at) + 1}, byte {at - text.rfind(newline, 0, at)}"
