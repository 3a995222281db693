"""Reads the token and detects its changes. The token leaves this module only inside a request's header."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reaper.core.blocking import RunBlocking, run_here
from reaper.core.files import read_regular
from reaper.core.text import shown_path

MAX_TOKEN_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its generation: how many times it, or the API's address, changed. `value` None: there is none now."""

    generation: int
    value: str | None
    missing_reason: str | None = None
    """The reason why there is none, for the operator."""

    def __repr__(self) -> str:
        return f"Token(generation={self.generation}, value={'None' if self.value is None else '********'})"


class Credentials:
    """The current token: a fixed value, or that of a file which is read again when it changed."""

    __slots__ = ("_file", "_run_blocking", "_seen", "_stamp", "current")

    def __init__(self, file: Path | None, value: str | None, run_blocking: RunBlocking = run_here) -> None:
        self._run_blocking = run_blocking
        self._file = file
        self._stamp: tuple[int, ...] | None = None
        self._seen: list[str] = [value] if value else []
        self.current = Token(0, *self.read(file, value))

    def refresh(self) -> bool:
        """Read the file again if it changed; return whether the token is a different one now.

        Costs one `stat` while there is a token, a read while there is none. A token stays while its file does not
        answer.
        """
        if self._file is None:
            return False
        if self.current.value is not None:
            try:
                if self._stamp == self._run_blocking(partial(_stamp, self._file)):
                    return False
            except TimeoutError:
                return False
        value, missing_reason = self._read(self._file)
        if value == self.current.value:
            self.current = Token(self.current.generation, value, missing_reason)
            return False
        self.current = Token(self.current.generation + 1, value, missing_reason)
        return True

    def read(self, file: Path | None, value: str | None) -> tuple[str | None, str | None]:
        """Return a source's token, or None and the reason why it has none. Changes nothing. May block."""
        if file is not None:
            return self._read(file)
        return value, None if value else "no token is configured"

    def switch_source(self, file: Path | None, token: tuple[str | None, str | None], *, elsewhere: bool) -> bool:
        """Switch to another source, whose token `read` returned; return whether identity must be proven again.

        `elsewhere`: the API's address changed, so earlier answers to the same token prove nothing.
        """
        self._file, self._stamp = file, None
        value, missing_reason = token
        if value is not None and value not in self._seen:
            self._seen.append(value)
        changed = elsewhere or value != self.current.value
        self.current = Token(self.current.generation + changed, value, missing_reason)
        return changed

    @property
    def generation(self) -> int:
        """The number of changes of the token in this process."""
        return self.current.generation

    def secrets(self) -> tuple[str, ...]:
        """Return every token that this process has held, for redaction."""
        return tuple(self._seen)

    def _read(self, file: Path) -> tuple[str | None, str | None]:
        shown = shown_path(str(file))
        try:
            self._stamp = self._run_blocking(partial(_stamp, file))
            raw = self._run_blocking(partial(read_regular, file, MAX_TOKEN_BYTES))
        except FileNotFoundError:
            return None, f"the token file {shown} does not exist"
        except (OSError, ValueError) as error:
            return None, f"the token file {shown} cannot be read: {getattr(error, 'strerror', None) or error}"
        text = raw.removeprefix(codecs.BOM_UTF8).decode("ascii", "replace").strip()
        if not text:
            return None, f"the token file {shown} is empty"
        if not text.isascii() or not text.isprintable() or " " in text:
            return None, f"the token file {shown} does not hold a token: one line of visible ASCII is expected"
        if text not in self._seen:
            self._seen.append(text)
        return text, None


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
