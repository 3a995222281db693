"""Session IDs: which texts are well-formed (docs/index.md)."""

from __future__ import annotations

import re

from reaper.core.model import SessionId

MAX_ID_CHARS = 128

_odd_character = re.compile(r"[^A-Za-z0-9._:-]")


def check_id(text: str) -> SessionId:
    """Return the text as an ID. Raises ValueError with the reason when the text is not well-formed."""
    if not text:
        raise ValueError("the ID is empty")
    if text.startswith("archal_ws_"):
        raise ValueError("this is a token, not a session ID: take it out of the input and consider it leaked")
    if len(text) > MAX_ID_CHARS:
        raise ValueError(f"the ID is longer than {MAX_ID_CHARS} characters")
    if odd := _odd_character.search(text):
        raise ValueError(f"character {odd.start() + 1} is {odd[0]!a}; an ID has only A-Z a-z 0-9 . _ : -")
    if not text[0].isalnum():
        raise ValueError("the ID does not begin with a letter or a digit")
    if ".." in text:
        raise ValueError("the ID contains '..'")
    return SessionId(text)
