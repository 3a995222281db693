"""Named SQL statements from `.sql` files that are packaged beside the code."""

from __future__ import annotations

import re
from pkgutil import get_data

from reaper.core.model import DEAD, MAX_HISTORY, REAPER
from reaper.queues.accounting import POSTPONED

_NAME = re.compile(r"^-- name: (\w+)$\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_DEAD = ", ".join(f"'{outcome.value}'" for outcome in sorted(DEAD))
_IS_OURS = f"(by = '{REAPER}' AND substr(reason, 1, {len(POSTPONED)}) <> '{POSTPONED}')"
SHARED = {"IS_DEAD": f"(outcome IN ({_DEAD}))", "MAX_HISTORY": str(MAX_HISTORY), "IS_OURS": _IS_OURS}
"""Fragments that are known in every file."""


def load_statements(package: str, file: str, **fragments: str) -> dict[str, str]:
    """Return the statements of a packaged file by name; a line `-- name: NAME` begins each.

    `{NAME}` in a statement stands for one of the `fragments`, for one of `SHARED` or for a statement further up in the
    file. Comments on lines of their own are dropped. Meant for import time: a module keeps what it loads.
    """
    data = get_data(package, file)
    assert data is not None, "the package's loader reads files"
    _, *parts = _NAME.split(data.decode())
    known = SHARED | fragments
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        statement = _COMMENT.sub("", text).strip().removesuffix(";")
        known[name] = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], statement)
    return {name: known[name] for name in parts[::2]}
