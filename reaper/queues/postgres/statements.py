"""Loads the SQL of this engine. `fragments.sql` has the parts that the statements of several files share."""

from __future__ import annotations

from reaper.core.model import DEAD, MAX_HISTORY
from reaper.queues.statements import load_statements

_DEAD = ", ".join(f"'{outcome.value}'" for outcome in sorted(DEAD))
_SHARED = {"IS_DEAD": f"(outcome IN ({_DEAD}))", "MAX_HISTORY": str(MAX_HISTORY)}
_SHARED |= load_statements(__package__, "fragments.sql", **_SHARED)


def load(file: str, **fragments: str) -> dict[str, str]:
    """Return the statements of a file by name, with the shared fragments and those given."""
    return load_statements(__package__, file, **_SHARED, **fragments)
