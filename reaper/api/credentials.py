"""The token: where it comes from, and when it changed. It leaves this module only inside a request's header."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_TOKEN_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its generation: how many times it, or where it is sent, changed. `value` None: there is none now."""

    generation: int
    value: str | None
    lack: str | None = None
    """Why there is none, for the operator."""

    def __repr__(self) -> str:
        return f"Token(generation={self.generation}, value={'None' if self.value is None else '********'})"


class Credentials:
    """The current token, from a file that is read again when it changed, or a fixed value."""

    __slots__ = ("_file", "_seen", "_stamp", "current")

    def __init__(self, file: Path | None, value: str | None) -> None:
        self._file = file
        self._stamp: tuple[int, ...] | None = None
        self._seen: list[str] = [value] if value else []
        self.current = Token(0, value, None if value else "no token is configured")
        if file is not None:
            self.current = Token(0, *self._read(file))

    def refresh(self) -> bool:
        """Read the file again if it changed; return whether the token is another one now.

        Costs one `stat` while there is a token, a read while there is none.
        """
        if self._file is None or (self.current.value is not None and self._stamp == _stamp(self._file)):
            return False
        value, lack = self._read(self._file)
        if value == self.current.value:
            self.current = Token(self.current.generation, value, lack)
            return False
        self.current = Token(self.current.generation + 1, value, lack)
        return True

    def read(self, file: Path | None, value: str | None) -> tuple[str | None, str | None]:
        """Return the token that a place holds, or None and what it lacks. Changes nothing. May block."""
        if file is not None:
            return self._read(file)
        return value, None if value else "no token is configured"

    def follow(self, file: Path | None, token: tuple[str | None, str | None], *, elsewhere: bool) -> bool:
        """Take the token from another place, where `read` found it; return whether identity must be shown again.

        `elsewhere`: the API's address changed, so what was answered to the token before says nothing now.
        """
        self._file, self._stamp = file, None
        found, lack = token
        if found is not None and found not in self._seen:
            self._seen.append(found)
        another = elsewhere or found != self.current.value
        self.current = Token(self.current.generation + another, found, lack)
        return another

    @property
    def generation(self) -> int:
        """How many times the token changed in this process."""
        return self.current.generation

    def secrets(self) -> tuple[str, ...]:
        """Return every token this process has held, for redaction."""
        return tuple(self._seen)

    def _read(self, file: Path) -> tuple[str | None, str | None]:
        self._stamp = _stamp(file)
        try:
            # Not blocking: a pipe that nobody writes to must not stop the event loop.
            with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    return None, f"the token file {file} is not a regular file"
                raw = stream.read(MAX_TOKEN_BYTES + 1)
        except FileNotFoundError:
            return None, f"the token file {file} does not exist"
        except (OSError, ValueError) as error:
            return None, f"the token file {file} cannot be read: {getattr(error, 'strerror', None) or error}"
        text = raw.decode("ascii", "replace").strip()
        if not text:
            return None, f"the token file {file} is empty"
        if len(raw) > MAX_TOKEN_BYTES or not text.isascii() or not text.isprintable() or " " in text:
            return None, f"the token file {file} does not hold a token: one line of visible ASCII is expected"
        if text not in self._seen:
            self._seen.append(text)
        return text, None


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
