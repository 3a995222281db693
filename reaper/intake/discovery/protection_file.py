"""Keep the protection rules up to date: those of the settings, and a file that is read again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reaper.core.blocking import RunBlocking, run_here
from reaper.core.discovery.protection import Protection, protection
from reaper.core.errors import ConfigError
from reaper.core.files import read_regular

MAX_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Protector:
    """Reads `protect.*`. The file's last content stays when it cannot be read or an entry of it can match nothing."""

    ids: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    file: Path | None = None
    on_failure: Callable[[str], None] = lambda sentence: None
    """Called once per change with the reason why the file cannot be read."""
    run_blocking: RunBlocking = run_here
    is_time: Callable[[], bool] = lambda: True
    """Whether the file is to be checked for a change: a check may cost a thread."""
    _seen: tuple[int, int, int] | None = None
    """The state of the file that was read last, whether it could be used or not."""
    _now: Protection = field(default_factory=Protection)
    _failure: str | None = None
    _is_ready: bool = False

    def now(self) -> Protection:
        """Return the current rules. Raises ConfigError when the file could never be read: they are unknown then."""
        if self.file is None:
            if not self._is_ready:
                self._now, self._is_ready = protection(self.ids, self.globs), True
            return self._now
        if self._is_ready and not self.is_time():
            return self._now
        try:
            seen = self._seen if self._is_ready else None
            if (found := self.run_blocking(partial(_read_changed, self.file, seen))) is not None:
                self._seen, content = found
                self._now = protection(self.ids, self.globs, content.decode("utf-8"))
                self._is_ready, self._failure = True, None
        except (OSError, ValueError) as error:
            sentence = f"protect.file: {self.file} {_fault(error)}"
            if not self._is_ready:
                raise ConfigError(f"{sentence}; correct it, or make it an empty file") from error
            if sentence != self._failure:
                self._failure = sentence
                self.on_failure(f"{sentence}; its last content stays in force")
        return self._now


def _read_changed(file: Path, seen: tuple[int, int, int] | None) -> tuple[tuple[int, int, int], bytes] | None:
    """Return the state and the content of the file; None when its state is still `seen`."""
    status = file.stat()
    state = (status.st_mtime_ns, status.st_size, status.st_ino)
    return None if state == seen else (state, read_regular(file, MAX_BYTES))


def _fault(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"cannot be used: {'it is not UTF-8' if isinstance(error, UnicodeDecodeError) else error}"
