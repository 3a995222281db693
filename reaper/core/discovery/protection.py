"""Protection: the sessions that no rule and no intake may stop, `protect.*` (docs/discovery.md). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reaper.core.discovery.entries import entries_of, fault_of_entry, with_words
from reaper.core.discovery.listing import SessionSummary
from reaper.core.model import SessionId
from reaper.core.text import sanitize


@dataclass(frozen=True, slots=True)
class Protection:
    """IDs and patterns of sessions, batches, scenarios and clones to spare; upper and lower case differ."""

    ids: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()
    """Patterns: `*` is any text and `?` any one character; a bracket has no special meaning."""

    def __bool__(self) -> bool:
        """Return whether anything is protected at all."""
        return bool(self.ids or self.globs)

    def of(self, session: SessionSummary) -> str | None:
        """Return a phrase that names the protection of a session; None when it has none."""
        named = [("scenario", session.scenario_id), *(("clone", clone_id) for clone_id in session.clone_ids or ())]
        return self._first([("session", session.session_id), ("batch", session.batch_id), *named])

    def of_id(self, session_id: SessionId) -> str | None:
        """Return the same for a session of which only the ID is known; its batch may still be protected."""
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
    """Return the protection by `protect.ids`, `protect.globs` and the text of `protect.file`.

    The file has an ID or a pattern per line; blank lines and lines that begin with # are skipped. Raises ValueError
    when an entry of the file can match nothing.
    """
    entries = with_words(entries_of(text, fault_of_entry))
    patterns = [entry for entry in entries if "*" in entry or "?" in entry]
    return Protection(frozenset((*with_words(ids), *entries)), (*globs, *patterns))
