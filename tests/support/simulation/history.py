"""The history of one simulation: every event of the world, in time order, and a digest of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

from tests.support.simulation.virtual_time import CLOCK


@dataclass(slots=True)
class History:
    """What happened. `kept`: how many of the last events are kept as text; all of them go into the digest."""

    folder: str = ""
    """A name that differs from run to run, and is left out."""
    kept: int = 200_000
    events: list[tuple[float, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=8))

    def add(self, subject: str, text: str, counted: str | None = None) -> None:
        """Add an event. `subject`: a session ID, a process, or `world`. `counted`: the name that it is counted by."""
        if counted is not None:
            self.counts[counted] += 1
        if self.folder in text:
            text = text.replace(self.folder, "~")
        self._digest.update(f"{CLOCK.elapsed_s:.6f} {subject} {text}\n".encode())
        if len(self.events) < self.kept:
            self.events.append((CLOCK.elapsed_s, subject, text))

    @property
    def digest(self) -> str:
        """The fingerprint of the whole history: equal for equal runs."""
        return self._digest.hexdigest()

    def story(self, subjects: set[str], last: int = 300) -> list[str]:
        """Return as lines what the world did, all about the subjects, and what reapers did within a second of that."""
        about = [at for at, subject, text in self.events if subject in subjects or any(s in text for s in subjects)]
        near = {int(at) + off for at in about for off in (-1, 0, 1)}
        chosen = [
            (at, subject, text)
            for at, subject, text in self.events
            if subject == "world" or subject in subjects or any(s in text for s in subjects)
            or (int(at) in near and not subject.startswith("env_") and not _is_of_another(text))
        ]  # fmt: skip
        return [f"{at:12.3f} s  {subject:<16} {_short(text)}" for at, subject, text in chosen[-last:]]


def _is_of_another(text: str) -> bool:
    return '"session_id"' in text


def _short(text: str) -> str:
    """Return a log line as its event and fields."""
    if not text.startswith("log {"):
        return text
    fields = json.loads(text.removeprefix("log "))
    event = fields.pop("event")
    for name in ("timestamp", "level", "logger"):
        fields.pop(name, None)
    return f"{event} " + " ".join(f"{name}={value!r}" for name, value in fields.items())
