"""What is never stopped, as it is now: settings, and a file that is read again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reaper.core.discovery.protection import Protection, protection
from reaper.core.errors import ConfigError

NOTHING = Protection()


@dataclass(slots=True)
class Protector:
    """`protect.*`. A file that cannot be read any more leaves what it said last in force."""

    ids: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    file: Path | None = None
    failed: Callable[[str], None] = lambda sentence: None
    """Told once per change when the file cannot be read."""
    _seen: tuple[int, int, int] | None = None
    _now: Protection = NOTHING
    _wrong: str | None = None
    _ready: bool = field(default=False)

    def now(self) -> Protection:
        """Return what is protected. Raises ConfigError when the file could never be read: then nobody knows."""
        if self.file is None:
            if not self._ready:
                self._now, self._ready = protection(self.ids, self.globs), True
            return self._now
        try:
            status = self.file.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._now = protection(self.ids, self.globs, self.file.read_text("utf-8"))
                self._seen, self._ready, self._wrong = seen, True, None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            sentence = f"protect.file: {self.file} cannot be read: {why}"
            if not self._ready:
                raise ConfigError(f"{sentence}; make it readable, or an empty file") from error
            if sentence != self._wrong:
                self._wrong = sentence
                self.failed(f"{sentence}; what it said last is still protected")
        return self._now
