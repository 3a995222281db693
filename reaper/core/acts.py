"""Acts of persons on the web page, as the queue keeps them: who did what, when, to how many, and why. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

KEY = "acts"
"""The key under which the queue keeps them."""
MAX_KEPT = 200


@dataclass(frozen=True, slots=True)
class Act:
    """One act, written down before it is carried out. `count`: the IDs that were chosen; `what`: which they are."""

    at: float
    by: str
    act: str
    count: int
    what: str = ""
    reason: str = ""


def with_act(text: str | None, act: Act) -> str:
    """Return the kept text with one act more, and no more than `MAX_KEPT`."""
    return json.dumps([asdict(each) for each in (*read_acts(text), act)][-MAX_KEPT:], separators=(",", ":"))


def read_acts(text: str | None) -> tuple[Act, ...]:
    """Read the kept text, oldest first. One that cannot be read counts as none: rows and holds name persons, too."""
    try:
        return tuple(
            Act(
                float(each["at"]), str(each["by"]), str(each["act"]), int(each["count"]), str(each["what"]),
                str(each["reason"]),
            )
            for each in json.loads(text or "[]")
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()
