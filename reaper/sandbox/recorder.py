"""What the stand-in saw: every DELETE, and counters. Tests and the demo hold the reaper's own figures against it."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Delete:
    """One DELETE, recorded when its fate was sealed, just before its answer left (if one did)."""

    at: float
    """When it arrived, Unix seconds."""
    session_id: str | None
    """Decoded; None when the path was not exactly one segment after `/api/sessions/`."""
    path: str
    """As sent."""
    status: int | None
    """As answered; None when no whole answer left."""
    fault: str | None
    """What went wrong on purpose."""
    executed: bool
    """Whether this DELETE stopped the session."""
    token: str | None
    """Fingerprint of the token it bore; None without one."""
    delivered: bool
    """Whether the client was still connected."""


@dataclass(slots=True)
class Counters:
    """Everything since the start, the control surface's own requests aside."""

    connections: int = 0
    requests: int = 0
    lists: int = 0
    gets: int = 0
    """Reads of one session."""
    creates: int = 0
    others: int = 0
    """Requests outside the API, such as a redirect that was followed."""
    deletes: int = 0
    executed: int = 0
    unauthorized: int = 0
    unclean: int = 0
    in_flight: int = 0
    """DELETEs that have arrived and are neither answered nor given up by the client."""
    peak_in_flight: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    def copy(self) -> Counters:
        return replace(self, statuses=dict(self.statuses))


class Record:
    """The log of DELETEs, in memory (unless `remember` is false) and, if asked for, as JSON lines in a file."""

    def __init__(self, log_path: Path | None = None, *, remember: bool = True) -> None:
        self.deletes: list[Delete] = []
        self.sends: Counter[str] = Counter()
        """DELETEs that have arrived, by session ID."""
        self.counters = Counters()
        self._remember = remember
        # One unbuffered write per line: who reads the file after a kill -9 of the reaper finds every line whole.
        self._file = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log_path else None

    def arrived(self, session_id: str | None) -> int:
        """Count a DELETE in; return how many came before it for this ID."""
        counters = self.counters
        counters.deletes += 1
        counters.in_flight += 1
        counters.peak_in_flight = max(counters.peak_in_flight, counters.in_flight)
        if session_id is None:
            counters.unclean += 1
            return 0
        before = self.sends[session_id]
        self.sends[session_id] = before + 1
        return before

    def left(self) -> None:
        """Count a DELETE out: answered, or its connection is gone."""
        self.counters.in_flight -= 1

    def add(self, delete: Delete) -> None:
        """Keep one DELETE; when this returns, its line is in the file."""
        self.counters.executed += delete.executed
        if self._remember:
            self.deletes.append(delete)
        if self._file is not None:
            os.write(self._file, json.dumps(asdict(delete)).encode() + b"\n")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@lru_cache(maxsize=256)
def fingerprint(token: str) -> str:
    """Return 12 hex digits that tell tokens apart and do not give them away."""
    return sha256(token.encode()).hexdigest()[:12]
