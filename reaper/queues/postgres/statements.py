"""Loads the SQL of this engine. `fragments.sql` has the parts that the statements of several files share."""

from __future__ import annotations

from reaper.queues.statements import load_statements

_FRAGMENTS = load_statements(__package__, "fragments.sql")


def load(file: str, **fragments: str) -> dict[str, str]:
    """Return the statements of a file by name, with the shared fragments and those given."""
    return load_statements(__package__, file, **_FRAGMENTS, **fragments)
