"""JSON documents all of whose sessions come with a time of their own: nothing of them is due now, and that is said."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from reaper.core.text import pluralize, sanitize
from reaper.intake.line_reader import Parsed


@dataclass(slots=True)
class DelayedLists:
    """Counts the sessions of each document, and those of them that are due later."""

    _counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, source: str, parsed: Parsed, now: float) -> None:
        """Count a batch of a source; lines do not count."""
        if parsed.is_document:
            count, later = self._counts.get(source, (0, 0))
            delayed = sum(item.due_at is not None and item.due_at > now for item in parsed.items)
            self._counts[source] = count + len(parsed.items), later + delayed

    def sentences(self) -> list[str]:
        """Return a sentence for each document of which nothing is due now, with what to do to stop its sessions now."""
        return [_sentence(source, count) for source, (count, later) in self._counts.items() if 0 < count == later]


def _sentence(source: str, count: int) -> str:
    file = "" if source == "stdin" else f" {sanitize(shlex.quote(source))}"
    came = pluralize(count, "session comes", "sessions come")
    ids = f"jq -r '(.sessions? // .)[] | .session_id? // .sessionId? // .id? // empty'{file}"
    # They are in the queue now: adding them once more would change nothing.
    now = f"{ids} | xargs reaper postpone --after 0; reaper once"
    return (
        f"{sanitize(source)}: {came} with the list's own time (expiresAt) and none is due now; to stop them now: {now}"
    )
