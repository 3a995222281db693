"""The account of the sandbox: its sessions, and reading, stopping and creating them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from random import Random

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CLONES = ("github", "slack", "stripe", "linear")
_DAY_S = 86_400


class Stop(Enum):
    """The result of a stop."""

    STOPPED = "stopped"
    PRETENDED = "pretended"
    """The answer says stopped, but the session lives."""
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Session:
    """One hosted session; instants are Unix seconds. A `foreign` one belongs to somebody else: 403, and never listed.

    A `ghost` answers each DELETE with 204 and lives on. `odd` replaces fields of the summary, `without` drops some.
    """

    session_id: str
    status: str = "running"
    created_at: float = 0.0
    expires_at: float = 0.0
    batch_id: str | None = None
    scenario_id: str | None = None
    clone_ids: tuple[str, ...] = ("github",)
    ended_at: float | None = None
    foreign: bool = False
    ghost: bool = False
    odd: Mapping[str, object] = field(default_factory=dict, hash=False)
    without: frozenset[str] = frozenset()

    @property
    def active(self) -> bool:
        return self.ended_at is None

    def summary(self) -> dict[str, object]:
        """Return the SessionSummary of the API."""
        base = f"https://api.sandbox.invalid/{self.session_id}"
        urls = {clone: f"{base}/{clone}" for clone in self.clone_ids}
        optional = {
            "batchId": self.batch_id,
            "scenarioId": self.scenario_id,
            "endedAt": _rfc3339(self.ended_at) if self.ended_at is not None else None,
        }
        whole = {
            "sessionId": self.session_id,
            "status": self.status,
            "alive": self.active and self.status not in ("failed", "ended"),
            "cloneIds": list(self.clone_ids),
            "endpoints": urls,
            "apiBaseUrls": urls,
            "createdAt": _rfc3339(self.created_at),
            "expiresAt": _rfc3339(self.expires_at),
        } | {name: value for name, value in optional.items() if value is not None}
        return {name: value for name, value in {**whole, **self.odd}.items() if name not in self.without}


def generate(n: int, seed: int = 0, *, now: float | None = None) -> Iterator[Session]:
    """Yield `n` sessions with distinct IDs. The same seed and `now` give the same sessions; IDs depend on the seed.

    About a third has expired, one in twenty has failed, one in twenty is still starting; two in three have a batch.
    """
    random = Random(f"sessions/{seed}")
    now = time.time() if now is None else now
    number = random.randrange(10_000, 20_000)
    for _ in range(n):
        number += random.randrange(1, 9)
        tail = "".join(random.choices(_BASE32, k=16))
        session_id = f"env_{number}" if random.random() < 0.5 else f"ses-01H{tail}{number:07d}"
        draw, age_s = random.random(), random.uniform(0, 0.9 * _DAY_S)
        yield Session(
            session_id,
            status="failed" if draw < 0.05 else "starting" if draw < 0.1 else "running",
            created_at=now - age_s,
            expires_at=now - age_s + random.choice((0.25, 0.5, 1.0)) * _DAY_S,
            batch_id=f"batch-{random.randrange(20):02d}" if random.random() < 2 / 3 else None,
            scenario_id=f"scenario-{random.randrange(5)}",
            clone_ids=tuple(random.sample(_CLONES, random.randrange(1, 3))),
        )


class Account:
    """All sessions by ID, including stopped ones. Change one only through `put`, which keeps the list up to date."""

    def __init__(self, sessions: Iterable[Session], seed: int) -> None:
        self._sessions: dict[str, Session] = {}
        self._fragments: dict[str, bytes] = {}
        self._active: dict[str, None] = {}
        self._seed = seed
        self._by_key: dict[str, str] = {}
        self._created = 0
        for session in sessions:
            self.put(session)

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def __getitem__(self, session_id: str) -> Session:
        return self._sessions[session_id]

    def get(self, session_id: str) -> Session | None:
        return self._sessions.get(session_id)

    @property
    def active(self) -> list[str]:
        """The IDs that `GET /api/sessions` lists, in order of creation."""
        return list(self._active)

    def put(self, session: Session) -> None:
        """Add a session, or replace the one of that ID."""
        self._sessions[session.session_id] = session
        self._fragments.pop(session.session_id, None)
        if session.active and not session.foreign:
            self._active[session.session_id] = None
        else:
            self._active.pop(session.session_id, None)

    def listing(self) -> bytes:
        """Return the body of `GET /api/sessions`."""
        return list_body(self.fragments())

    def fragments(self) -> list[bytes]:
        """Return the entries of the list, each as JSON."""
        return [self._fragment(session_id) for session_id in self._active]

    def renew(self, session_id: str, expires_at: float) -> None:
        """Change the expiry of a session. Raises KeyError when there is no such session."""
        self.put(replace(self._sessions[session_id], expires_at=expires_at))

    def stop(self, session_id: str, now: float) -> Stop:
        """Stop a session if it is there, ours and active."""
        session = self._sessions.get(session_id)
        if session is None or not session.active:
            return Stop.UNKNOWN
        if session.foreign:
            return Stop.FORBIDDEN
        if session.ghost:
            return Stop.PRETENDED
        self.put(replace(session, status="ended", ended_at=now))
        return Stop.STOPPED

    def create(self, body: bytes, key: str | None, now: float) -> Session:
        """Create a session from a request's body; the same idempotency key returns the same session.

        Raises ValueError with a sentence when the API would refuse the body.
        """
        if key is not None and key in self._by_key:
            return self._sessions[self._by_key[key]]
        try:
            fields = json.loads(body)
        except ValueError as error:
            raise ValueError("the body is not JSON") from error
        clones = fields.get("clones") if isinstance(fields, dict) else None
        if not isinstance(clones, list) or not clones or not all(isinstance(clone, str) for clone in clones):
            raise ValueError("clones must be a list of at least one name")
        ttl_s = fields.get("ttlSeconds", 1800)
        if isinstance(ttl_s, bool) or not isinstance(ttl_s, int) or not 1 <= ttl_s <= _DAY_S:
            raise ValueError("ttlSeconds must be a whole number from 1 to 86400")
        self._created += 1
        session_id = f"ses-01J{self._seed:06d}{self._created:013d}"
        self.put(Session(session_id, "starting", now, now + ttl_s, clone_ids=tuple(clones)))
        if key is not None:
            self._by_key[key] = session_id
        return self._sessions[session_id]

    def _fragment(self, session_id: str) -> bytes:
        fragment = self._fragments.get(session_id)
        if fragment is None:
            fragment = json.dumps(self._sessions[session_id].summary(), separators=(",", ":")).encode()
            self._fragments[session_id] = fragment
        return fragment


def list_body(fragments: Iterable[bytes]) -> bytes:
    """Return the body of a list of these entries."""
    return b'{"sessions":[' + b",".join(fragments) + b"]}"


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
