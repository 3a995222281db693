"""The state of settings, inputs and disk as one process sees them: facts beside those of a queue. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reaper.core import notices
from reaper.core.notices import Notice
from reaper.core.text import pluralize

MAX_NAMED = 3
"""Entries that a notice names."""


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What is wrong with the settings, the inputs and the disk of `run`. Texts are fit to be shown."""

    missing: tuple[str, ...] = ()
    """A sentence about each entry of `intake.files` that names no file that can be followed."""
    refused: int | None = None
    """Spool files that were refused whole and lie in `bad/`; None: there is no spool, or it cannot be read."""
    refused_in: str = ""
    """The path of `bad/`."""
    disk_fault: str | None = None
    """Why the ledger's disk takes no writes; None: it does, or the process knows from its own writes."""
    config_refused: str | None = None
    """Why the last reload of this process was refused, None after a good one; another process cannot know."""

    def as_json(self) -> dict[str, object]:
        """Return the keys of `status --json` and `/status`."""
        return {"intake_missing": list(self.missing), "spool_refused": self.refused}

    @property
    def refused_words(self) -> str:
        """How many spool files were refused, and where they are; "" for none."""
        if not self.refused:
            return ""
        return f"{pluralize(self.refused, 'file was', 'files were')} refused whole and moved to {self.refused_in}"

    def notices_with(self, queue: Iterable[Notice]) -> list[Notice]:
        """Return the notices of the queue with those of these facts: a faulty disk first, the others last."""
        disk = notices.notices(0.0, unavailable=self.disk_fault) if self.disk_fault else []
        return [*disk, *queue, *self._others()]

    def _others(self) -> Iterator[Notice]:
        if self.config_refused:
            todo = "mend it, try it with reaper check, and reload once more (SIGHUP)"
            title = "Settings refused at the last reload"
            yield Notice("warn", "Settings refused", title, self.config_refused, todo, "check")
        if self.missing:
            title = f"Input missing: {pluralize(len(self.missing), 'entry', 'entries')} of intake.files"
            detail = "; ".join(self.missing[:MAX_NAMED]) + ("; and more" if len(self.missing) > MAX_NAMED else "")
            yield Notice("warn", "Input missing", title, detail, "see: reaper check", "check")
        if words := self.refused_words:
            yield Notice("warn", "Spool", f"Spool: {words}", "", REFUSED_TODO)


NO_FAULT = InputFacts()
REFUSED_TODO = "the log says why of each; mend it and move it back to new/, or delete it: its sessions are not stopped"
