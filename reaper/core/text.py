"""Texts for people, counts and durations in words; and texts from outside, read as JSON or made safe to show."""

from __future__ import annotations

import json
import re
from itertools import pairwise

MAX_SANITIZED_BYTES = 4097
"""Bytes of a faulty text that are read: one more than an input line may have (4 KiB)."""
SHOWN_CHARS = 80

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1), ("", 1))
MASK = "***"
"""Stands for a token, alone or in a longer row of stars."""
_within_figure = re.compile(r"(?<=\d) (?=[smhd%](?![A-Za-z0-9]))|(?<=\d [dhm]) (?=\d+ [hms](?![A-Za-z0-9]))")
"""A blank in a number with its unit, or between the two units of `format_duration`."""
_part = re.compile("(?<=\\S) \1|\1")
"""The mark before a part of a word that was broken, with the blank that joined it to the part before it."""
_token = re.compile(r"archal_ws_\S*")


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3 h 58 m`, `12 s`, `0 s`."""
    whole = max(0, round(seconds))
    for (name, size), (smaller, part) in pairwise(_UNITS):
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {name}" + (f" {rest // part} {smaller}" if rest >= part else "")
    return "0 s"


def pluralize(count: int, one: str, more: str) -> str:
    """Return a count and its noun, `one` or `more`: `1 session`, `3,000 sessions`."""
    return f"{count:,} {one if count == 1 else more}"


def wrap(text: str, width: int, indent: str = "  ") -> str:
    """Wrap one line of text; the lines after the first are indented.

    No word is broken in two: one that has no room beside the indent is indented less, and a path or an address that is
    wider than the terminal, which would break it anywhere, is broken behind a slash. A number stays with its unit.
    """
    import textwrap

    later = "  " if len(indent) > width // 2 else indent
    lines = textwrap.wrap(
        " ".join(_in_parts(word, width, len(later)) for word in _within_figure.sub("\0", text).split(" ")),
        width,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    blanks = text[: len(text) - len(text.lstrip())]
    if lines and not lines[0].startswith(blanks):  # textwrap lost them before a word that has no room beside them
        lines[0] = blanks + lines[0]
    fitted = (line if len(line) <= width else line.strip().rjust(width) for line in lines)
    return _part.sub("", "\n".join(fitted)).replace("\0", " ") or text


def _in_parts(word: str, width: int, indent: int) -> str:
    """Return a word as it is if it fits into a line, else in parts of a line at most that end with a slash."""
    if len(word) <= width:
        return word
    parts = [""]
    for piece in re.findall(r"[^/]*/+|[^/]+$", word):
        if parts[-1] and len(parts[-1]) + len(piece) + 1 > width - indent:
            parts.append("")
        parts[-1] += piece
    return " \1".join(parts)


def printable(text: bytes, most: int = SHOWN_CHARS) -> str:
    """Return the first `most` characters of a text, escaped for a terminal or a log and with tokens masked."""
    # Masked before it is cut: a cut could hide the beginning of a token from the mask.
    masked = without_tokens(text[:MAX_SANITIZED_BYTES].decode("utf-8", "backslashreplace"))
    cut = masked if len(masked) <= most else masked[: most - 1] + "…"
    return escaped(cut)


def sanitize(text: str, most: int = SHOWN_CHARS) -> str:
    """Return a text from outside as `printable` returns bytes."""
    return printable(text.encode("utf-8", "backslashreplace"), most)


def shown_path(path: str) -> str:
    """Return a whole path as it may be shown and stored: bytes that are not UTF-8 escaped, tokens masked.

    File names hold any bytes; Python keeps those that it cannot decode as surrogates, which no database takes.
    """
    return escaped(without_tokens(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")))


def describe_unforeseen(error: Exception) -> str:
    """Return what was raised and where, for a log: an error that nobody foresaw, of one input among many."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        where = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"internal error: {sanitize(f'{type(error).__name__}: {error}')}{where}"


def without_tokens(text: str) -> str:
    """Return a text without anything that looks like a token of the API."""
    return _token.sub(f"archal_ws_{MASK}", text)


def escaped(text: str, keep: str = "") -> str:
    r"""Return a text with an escape (`\x1b`) for each character that is not printable, but for those in `keep`.

    Not printable are control characters of both sets (C0, C1), those that change the direction of writing or show
    nothing (bidi, zero width), and lone surrogates: on a terminal they could hide, forge or run something.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def escaped_json(text: str) -> str:
    r"""Return JSON text with the same characters escaped as JSON does (`\u202e`); its value stays the same."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else json.dumps(char)[1:-1] for char in text)


def json_value(text: str | bytes) -> object:
    """Return the value of a JSON text from outside; None, as for `null`, when it cannot be read."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value
