"""Session IDs: which texts are well-formed, which of those are none all the same, and what to do (docs/input.md)."""

from __future__ import annotations

import re

from reaper.core.model import SessionId

MAX_ID_CHARS = 128
TOKEN_PREFIX = "archal_ws_"

NO_VALUES = ("null", "none", "undefined", "nil", "nan", "true", "false")
"""What programs write for no value (`jq -r`, `aws --output text`, Python, JavaScript), in any case: never an ID."""
TITLES = ("session_id", "sessionid", "id")
"""Column titles in lower case: on the first line of a source they are skipped."""

REMEDIES = (
    (r"(\$ )?(curl|wget|https?|reaper)\s.*", "this is a command: give the session ID in it alone"),
    (
        r"([A-Za-z]+[_.:-])[\w.:-]+([\s,;]+\1[\w.:-]+)+[\s,;]*",
        "if these are several IDs: one a line, as with: tr -s ',; \\r' '\\n'",
    ),
    (r"""(["'`“‘]).*["'`”’],""", "take the quotes and the comma away (jq -r writes neither)"),
    (r"""["'`“‘][^,;\t|]*|[^,;\t|]*["'`”’]""", "take the quotes away (jq -r writes none)"),
    (r"[A-Za-z][A-Za-z0-9+.-]*://.*", "this is a URL: give its last part"),
    (r"[^\s,]*/[^\s,]*", "this is a path: give its last part"),
    (r"[^,]*,\s*", "take the comma away"),
    (r"[^;]*;\s*", "take the semicolon away"),
    (r"[\[({<].*", "take the brackets away; a JSON list is taken whole from a file: see docs/input.md"),
    (r"[^,]*,.*", "these are columns: give the one of the ID alone, as with: cut -d, -f1"),
    (r"[^\t]*\t.*", "these are columns: give the one of the ID alone, as with: cut -f1"),
    (r"[^;]*;.*", "these are columns: give the one of the ID alone, as with: cut -d';' -f1"),
    (r"[^|]*\|.*", "these are columns: give the one of the ID alone, as with: cut -d'|' -f1"),
    (r"[-*•] .*", "take the mark of the list before the ID away"),
    (r"[0-9]+[.)] .*", "take the number before the ID away"),
    (r"\w+\s*(=|:\s).*", "this is a name with a value: give the value alone"),
    (r"\S+\s+.*", "one ID a line: take the note behind it away"),
)
"""Shapes that people paste, and what to do about each; the first that fits a whole text counts."""

_remedies = tuple((re.compile(shape, re.DOTALL), remedy) for shape, remedy in REMEDIES)
_odd_character = re.compile(r"[^A-Za-z0-9._:-]")


def check_id(text: str) -> SessionId:
    """Return the text as a new ID. Raises ValueError with the reason when it is not well-formed, or no ID for sure."""
    if text.lower() in NO_VALUES:
        raise ValueError(f"{text} is what programs write for no value: check the command that wrote it")
    return check_form(text)


def check_form(text: str) -> SessionId:
    """Return the text as an ID that a queue may hold. Raises ValueError with the reason when it is not well-formed."""
    if not text:
        raise ValueError("the ID is empty")
    if text.startswith(TOKEN_PREFIX):
        raise ValueError("this is a token, not a session ID: take it out of the input and consider it leaked")
    if len(text) > MAX_ID_CHARS:
        raise ValueError(f"the ID is longer than {MAX_ID_CHARS} characters{_remedy(text, '; ')}")
    if odd := _odd_character.search(text):
        what_to_do = _remedy(text) or "an ID has only A-Z a-z 0-9 . _ : -"
        raise ValueError(f"character {odd.start() + 1} is {odd[0]!a}; {what_to_do}")
    if not text[0].isalnum():
        raise ValueError("the ID does not begin with a letter or a digit")
    if ".." in text:
        raise ValueError("the ID contains '..'")
    return SessionId(text)


def _remedy(text: str, before: str = "") -> str:
    """Return what to do about a text of a known shape, with `before` in front; empty when the shape is unknown."""
    if _odd_character.search(text) is None:
        return ""
    return next((before + remedy for shape, remedy in _remedies if shape.fullmatch(text)), "")
