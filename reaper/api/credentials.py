"""The token: where it comes from, and when it changed. It leaves this module only inside a request's header."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TOKEN_MOST_BYTES = 16_384


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

    def follow(self, file: Path | None, value: str | None, *, elsewhere: bool) -> bool:
        """Take the token from another place, or read the same one anew; return whether identity must be shown again.

        `elsewhere`: the API's address changed, so what was answered to the token before says nothing now.
        """
        self._file, self._stamp = file, None
        lack = None if value else "no token is configured"
        found, lack = (value, lack) if file is None else self._read(file)
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
            with file.open("rb") as stream:
                raw = stream.read(TOKEN_MOST_BYTES + 1)
        except FileNotFoundError:
            return None, f"the token file {file} does not exist"
        except OSError as error:
            return None, f"the token file {file} cannot be read: {error.strerror}"
        text = raw.decode("ascii", "replace").strip()
        if not text:
            return None, f"the token file {file} is empty"
        if len(raw) > TOKEN_MOST_BYTES or not text.isascii() or not text.isprintable() or " " in text:
            return None, f"the token file {file} does not hold a token: one line of visible ASCII is expected"
        if text not in self._seen:
            self._seen.append(text)
        return text, None


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
