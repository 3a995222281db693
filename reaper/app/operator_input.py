"""Input of operators: the session IDs they name, their reason, their own name. For the command line and the library."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable

from reaper.core.errors import UsageError
from reaper.core.ids import check_form
from reaper.core.model import SessionId
from reaper.core.text import sanitize

MAX_REASON_CHARS = 500


def session_ids(words: Iterable[str], check: Callable[[str], SessionId] = check_form) -> list[SessionId]:
    """Return the IDs that an operator named, each once, in order. Raises UsageError for the first malformed one.

    `check`: `check_id` where they are new; what a queue holds from earlier versions can be named in any case.
    """
    ids: dict[SessionId, None] = {}
    for word in map(str.strip, words):
        try:
            ids[check(word)] = None
        except ValueError as error:
            raise UsageError(f"{sanitize(word)}: {error}") from error
    return list(ids)


def clean_reason(text: str) -> str:
    """Return an operator's reason as one printable line. Raises UsageError for an empty one."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not line:
        raise UsageError("the reason must say why")
    return line[:MAX_REASON_CHARS]


def operator_name() -> str:
    """Return the name under which an operator's act is recorded: `alice`, or `alice as root` under sudo."""
    behind = os.environ.get("SUDO_USER")
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid {os.getuid()}"
    return f"{behind} as {name}" if behind and behind != name else name
