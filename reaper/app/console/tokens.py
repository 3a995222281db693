"""The persons who may act on the web page: a file with a line `NAME TOKEN` for each, and a limit on wrong tokens.

Tokens are kept as digests. A given one is compared with all of them, each in constant time, so that neither the time of
an answer nor a log tells anything about a token.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reaper.app.bounded import Bounded
from reaper.core.blocking import RunBlocking
from reaper.core.errors import ConfigError
from reaper.core.files import read_regular
from reaper.core.ids import TOKEN_PREFIX
from reaper.core.model import REAPER
from reaper.core.text import shown_path

MIN_TOKEN_CHARS = 16
MAX_BYTES = 64 * 1024
MAX_FAILURES = 5
WITHIN_S = 60.0
"""After so many wrong tokens in this time no token is taken: what remains to be guessed takes longer than a life."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_TOKEN = re.compile(r"[!-~]+")

Persons = Mapping[bytes, str]
"""The name of each person by the digest of the token."""


def read_persons(path: Path) -> Persons:
    """Read the file. Raises ConfigError that says what is wrong and what to do, and repeats no token."""
    shown = shown_path(str(path))
    try:
        content = read_regular(path, MAX_BYTES)
        mode = os.stat(path).st_mode
    except OSError as error:
        raise _error(shown, f"cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _error(shown, f"has mode {stat.S_IMODE(mode):04o}: others may use it; do: chmod 600 {shown}")
    persons: dict[bytes, str] = {}
    for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not _NAME.fullmatch(words[0]) or not _TOKEN.fullmatch(words[1]):
            raise _error(shown, f"line {number} is not `NAME TOKEN`: a name without blanks, a blank, a token")
        if words[0].lower() == REAPER:
            raise _error(shown, f"line {number} has the name {REAPER}, which is taken for what reaper does itself")
        if words[1].startswith(TOKEN_PREFIX):
            raise _error(
                shown, f"line {number} has a token of the API, which is for reaper alone; do: openssl rand -hex 32"
            )
        if len(words[1]) < MIN_TOKEN_CHARS:
            raise _error(
                shown, f"line {number} has a token of less than {MIN_TOKEN_CHARS} characters; do: openssl rand -hex 32"
            )
        if persons.setdefault(_digest(words[1]), words[0]) != words[0]:
            raise _error(shown, f"line {number} has the token of another person; each needs one of their own")
    if not persons:
        raise _error(shown, "names nobody; give it a line `NAME TOKEN` for each person who may act")
    return persons


def read_within(run_blocking: RunBlocking, path: Path, read: Callable[[Path], Persons] = read_persons) -> Persons:
    """Read the file within a time limit. Raises ConfigError also when that is over: a mount may stall."""
    try:
        return run_blocking(lambda: read(path))
    except OSError as error:
        raise _error(shown_path(str(path)), f"cannot be read: {error.strerror}") from error


def _error(shown: str, what: str) -> ConfigError:
    return ConfigError(f"telemetry.admin_token_file: {shown} {what}")


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Stranger:
    """The reason why a request is nobody's: its status and a sentence. `wait_s`: until a token is looked at again."""

    status: int
    reason: str
    wait_s: float = 0.0


class AdminTokens:
    """Tells by the Authorization header who acts. The file is read again when it changes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._bounded = Bounded()
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES)
        self._read_last: tuple[Path, tuple[int, ...]] | None = None
        self._persons: Persons = {}

    def person(self, path: Path, authorization: str | None) -> str | Stranger:
        """Return the name of the person whose token a header has. Raises ConfigError for a file that cannot be used."""
        now = self._now()
        if len(self._failures) == MAX_FAILURES and (left_s := self._failures[0] + WITHIN_S - now) > 0:
            return Stranger(
                429, f"{MAX_FAILURES} wrong tokens within a minute; no token is looked at for a while", left_s
            )
        persons = read_within(self._bounded, path, self._read)
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Stranger(401, "an act needs the header Authorization: Bearer TOKEN, with a token of the admin file")
        digest, found = _digest(token.strip()), ""
        for known, name in persons.items():
            found = name if hmac.compare_digest(digest, known) else found
        if found:
            return found
        self._failures.append(now)
        return Stranger(401, "the token is nobody's")

    def _read(self, path: Path) -> Persons:
        with suppress(OSError):
            status = os.stat(path)
            stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if (path, stamp) == self._read_last:
                return self._persons
            self._read_last = None  # until it has been read, whatever else goes wrong
            self._persons = read_persons(path)
            self._read_last = (path, stamp)
            return self._persons
        return read_persons(path)  # which says why it cannot be read
