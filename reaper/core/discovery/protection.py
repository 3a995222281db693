"""What is never stopped, whatever asks for it: `protect.*` (SPEC 7). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reaper.core.discovery.listing import SessionSummary
from reaper.core.model import SessionId
from reaper.core.text import sanitize


@dataclass(frozen=True, slots=True)
class Protection:
    """IDs and patterns of sessions, batches, scenarios and clones to spare. Both are compared case by case."""

    ids: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()
    """Patterns in which * is any text and ? any one character; a bracket is itself."""

    def __bool__(self) -> bool:
        """Tell whether anything is protected at all."""
        return bool(self.ids or self.globs)

    def of(self, session: SessionSummary) -> str | None:
        """Return in words what protects a session; None when nothing does."""
        named = [("scenario", session.scenario_id), *(("clone", clone_id) for clone_id in session.clone_ids or ())]
        return self._first([("session", session.session_id), ("batch", session.batch_id), *named])

    def of_id(self, session_id: SessionId) -> str | None:
        """Return in words what protects a session of which only the ID is known; its batch may be protected, too."""
        return self._first([("session", session_id)])

    def _first(self, names: Iterable[tuple[str, str | None]]) -> str | None:
        for kind, name in names:
            if name is None:
                continue
            if name in self.ids:
                return f"{kind} {sanitize(name)} is protected"
            for glob in self.globs:
                if fnmatchcase(name, glob.replace("[", "[[]")):
                    return f"{kind} {sanitize(name)} is protected by {sanitize(glob)}"
        return None


def protection(ids: Iterable[str] = (), globs: Iterable[str] = (), text: str = "") -> Protection:
    """Put together `protect.ids`, `protect.globs` and the text of `protect.file`.

    The file has an ID or a pattern per line; blank lines and those that begin with # say nothing.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    patterns = [entry for entry in entries if "*" in entry or "?" in entry]
    return Protection(frozenset((*ids, *entries)), (*globs, *patterns))
