"""Loads the SQL of this engine. `fragments.sql` has the parts that the statements of several files share."""

from __future__ import annotations

from reaper.queues.history import BUCKETS, BUCKETS_S, SLOT_S
from reaper.queues.statements import load_statements

_HISTORY = {
    "SLOT_S": str(SLOT_S),
    "LATENCY_BOUNDS": f"ARRAY[{', '.join(map(repr, BUCKETS_S))}]",
    "LATENCY_BUCKETS": f"(ARRAY[{', '.join(map(repr, BUCKETS))}])",
}
_FRAGMENTS = _HISTORY | load_statements(__package__, "fragments.sql", **_HISTORY)


def load(file: str, **fragments: str) -> dict[str, str]:
    """Return the statements of a file by name, with the shared fragments and those given."""
    return load_statements(__package__, file, **_FRAGMENTS, **fragments)
