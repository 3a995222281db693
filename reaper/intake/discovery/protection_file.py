"""Keep the protection rules up to date: those of the settings, and a file that is read again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reaper.core.discovery.protection import Protection, protection
from reaper.core.errors import ConfigError


@dataclass(slots=True)
class Protector:
    """Reads `protect.*`. When the file becomes unreadable, its last content stays in force."""

    ids: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    file: Path | None = None
    on_failure: Callable[[str], None] = lambda sentence: None
    """Called once per change with the reason why the file cannot be read."""
    _seen: tuple[int, int, int] | None = None
    _now: Protection = field(default_factory=Protection)
    _failure: str | None = None
    _is_ready: bool = False

    def now(self) -> Protection:
        """Return the current rules. Raises ConfigError when the file could never be read: they are unknown then."""
        if self.file is None:
            if not self._is_ready:
                self._now, self._is_ready = protection(self.ids, self.globs), True
            return self._now
        try:
            status = self.file.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._now = protection(self.ids, self.globs, self.file.read_text("utf-8"))
                self._seen, self._is_ready, self._failure = seen, True, None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            sentence = f"protect.file: {self.file} cannot be read: {why}"
            if not self._is_ready:
                raise ConfigError(f"{sentence}; make it readable, or an empty file") from error
            if sentence != self._failure:
                self._failure = sentence
                self.on_failure(f"{sentence}; its last content stays in force")
        return self._now
