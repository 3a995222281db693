"""Record every DELETE that arrives, and counters. Tests and the demo compare the figures of reaper with them."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Delete:
    """One DELETE, recorded once its effect was decided, just before its answer (if any) was sent."""

    at: float
    """Time of arrival, Unix seconds."""
    session_id: str | None
    """Decoded; None when the path was not exactly one segment after `/api/sessions/`."""
    path: str
    """As sent."""
    status: int | None
    """Status of the answer; None when no whole answer was sent."""
    fault: str | None
    """Name of the fault that was injected."""
    executed: bool
    """Whether this DELETE stopped the session."""
    token: str | None
    """Fingerprint of its bearer token; None without one."""
    delivered: bool
    """Whether the client was still connected."""


@dataclass(slots=True)
class Counters:
    """Counts since the start, without requests to the control surface."""

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
    """DELETEs that have arrived, are not answered yet, and whose client is still connected."""
    peak_in_flight: int = 0
    statuses: dict[int, int] = field(default_factory=dict)


class Recorder:
    """Keeps the log of DELETEs in memory (unless `remember` is false) and, with `log_path`, as JSON lines in a file."""

    def __init__(self, log_path: Path | None = None, *, remember: bool = True) -> None:
        self.deletes: list[Delete] = []
        self.sends: Counter[str] = Counter()
        """DELETEs that have arrived, by session ID."""
        self.counters = Counters()
        self._remember = remember
        self._log_path = log_path
        self._file: int | None = None

    def open(self) -> None:
        if self._log_path is not None:
            self._file = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def delete_arrived(self, session_id: str | None) -> int:
        """Count a DELETE as in flight; return the number of earlier DELETEs of this ID."""
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

    def delete_finished(self) -> None:
        """Count a DELETE as no longer in flight: it is answered, or its connection is closed."""
        self.counters.in_flight -= 1

    def add(self, delete: Delete) -> None:
        """Record one DELETE; when this returns, its line is in the file."""
        self.counters.executed += delete.executed
        if self._remember:
            self.deletes.append(delete)
        if self._file is not None:
            # One unbuffered write per line: after a kill -9 of reaper every line in the file is whole.
            os.write(self._file, json.dumps(asdict(delete)).encode() + b"\n")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@lru_cache(maxsize=256)
def fingerprint(token: str) -> str:
    """Return 12 hex digits that distinguish tokens without disclosing them."""
    return sha256(token.encode()).hexdigest()[:12]
