"""The state of the settings and inputs of one process: facts beside those of a queue, and their notices. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reaper.core.notices import Notice
from reaper.core.text import pluralize

MAX_NAMED = 3
"""Entries that a notice names."""


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What is wrong with the settings and inputs of `run`. Texts are fit to be shown."""

    missing: tuple[str, ...] = ()
    """A sentence about each entry of `intake.files` that names no file that can be followed."""
    refused: int | None = None
    """Spool files that were refused whole and lie in `bad/`; None: there is no spool, or it cannot be read."""
    refused_in: str = ""
    """The path of `bad/`."""
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

    @property
    def notices(self) -> list[Notice]:
        """What an operator should know of the inputs."""
        return list(self._notices())

    def _notices(self) -> Iterator[Notice]:
        if self.config_refused:
            todo = "mend it, try it with reaper check, and reload once more (SIGHUP)"
            title = "Settings refused at the last reload, the former ones hold"
            yield Notice("warn", "Settings refused", title, self.config_refused, todo, "check")
        if self.missing:
            title = f"Input missing: {pluralize(len(self.missing), 'entry', 'entries')} of intake.files"
            detail = "; ".join(self.missing[:MAX_NAMED]) + ("; and more" if len(self.missing) > MAX_NAMED else "")
            yield Notice("warn", "Input missing", title, detail, "see: reaper check", "check")
        if words := self.refused_words:
            yield Notice("warn", "Spool", f"Spool: {words}", "", REFUSED_TODO)


NO_FAULT = InputFacts()
REFUSED_TODO = "the log says why of each; mend it and move it back to new/, or delete it: its sessions are not stopped"
