"""Sessions as the API lists them: `GET /api/sessions` and `GET /api/sessions/{id}`, read with distrust. Pure.

Nothing here raises: each field that cannot be read is named, and the policy keeps a session with such a field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from reaper.core.ids import check_id
from reaper.core.json_list import LIST_KEY, Beside, decoded_object, session_entries
from reaper.core.model import SessionId
from reaper.core.text import json_value, printable
from reaper.core.times import parse_time

LIVE = ("starting", "running")
"""The states of a session that lives."""
READ = frozenset({"sessionId", "status", "createdAt", "expiresAt", "batchId", "scenarioId", "cloneIds", "alive"})
"""The API's names of the fields that are read: the others may be of any size."""
NEXT_PAGE = frozenset(
    {"next", "nextcursor", "nextpage", "nextpagetoken", "nexttoken", "hasmore", "hasnext", "hasnextpage"}
)
"""Names, in lower case and without `_`, of what tells of a further page unless it is empty, null or false. The API
documents no pages: these are the names that other APIs use."""
PAGING = frozenset({"pagination", "paging", "pageinfo", "page", "meta", "metadata", "responsemetadata", "links"})
"""Names of the objects in which that may stand."""
FAULTS_SHOWN = 5
"""Malformed entries of a list that are described; all are counted."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One session as the API lists it; None where a field is missing or cannot be read. Instants are Unix seconds."""

    session_id: SessionId
    status: str | None = None
    created_at: float | None = None
    expires_at: float | None = None
    batch_id: str | None = None
    scenario_id: str | None = None
    clone_ids: tuple[str, ...] | None = None
    alive: bool | None = None
    odd: tuple[str, ...] = ()
    """The API's names of the fields that cannot be read; a field that is null is missing."""

    @property
    def is_alive(self) -> bool:
        """Whether the list shows the session alive."""
        return self.status in LIVE and self.alive is not False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body, or an entry of one, that is not a list or a session."""

    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One reading of the list. Of several entries with the same ID the first is kept."""

    sessions: tuple[SessionSummary, ...]
    malformed: int = 0
    """Entries that are not objects, have no well-formed ID, or repeat an ID."""
    faults: tuple[str, ...] = ()
    """A phrase about each of the first `FAULTS_SHOWN` of them."""


def parse_list(body: bytes) -> Listing | Unreadable:
    """Read the body of `GET /api/sessions`. A body of 32 MiB takes seconds: too long for an event loop's thread.

    Entry by entry: 32 MiB of JSON would be several hundred MiB of Python objects.
    """
    read = _read_list(body, _listing)
    if read is None:
        return Unreadable(f"the list is not a JSON object with an array 'sessions': '{printable(body[:200])}'")
    listing, next_page = read
    if next_page is not None:
        return Unreadable(f"the list goes on on another page ('{next_page}'), and reaper reads one page only")
    return listing


def ids_alive(body: bytes) -> frozenset[str] | None:
    """Return the IDs that a body of `GET /api/sessions` shows alive; None when it is not a whole list.

    Reads no more of each entry than that: it costs a third of `parse_list`.
    """
    read = _read_list(body, _alive)
    return None if read is None or read[1] is not None else read[0]


def _read_list(body: bytes, read: Callable[[Iterable[object]], T]) -> tuple[T, str | None] | None:
    """Return what `read` makes of the entries of each list that the identity read takes; None for another body.

    And the name of the member that tells of a further page; None where there is none.
    """
    beside = Beside(lambda key: _plain(key) in NEXT_PAGE | PAGING)
    try:
        return read(session_entries(body, READ, beside)), _next_page(beside.found)
    except ValueError:
        decoded = decoded_object(body) or {}
    entries = decoded.get(LIST_KEY)
    return (read(entries), _next_page(decoded)) if isinstance(entries, list) else None


def _next_page(members: Mapping[str, object]) -> str | None:
    """Return the name of the member that tells of a further page."""
    for name, value in members.items():
        inner = value if _plain(name) in PAGING and isinstance(value, dict) else {}
        for path, key, one in ((name, name, value), *((f"{name}.{key}", key, one) for key, one in inner.items())):
            if one and _plain(key) in NEXT_PAGE:
                return path
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _listing(entries: Iterable[object]) -> Listing:
    found: dict[SessionId, SessionSummary] = {}
    faults: list[str] = []
    malformed = 0
    for number, entry in enumerate(entries, 1):
        session = parse_summary(entry)
        if isinstance(session, SessionSummary) and session.session_id not in found:
            found[session.session_id] = session
            continue
        malformed += 1
        if len(faults) < FAULTS_SHOWN:
            why = session.reason if isinstance(session, Unreadable) else f"{session.session_id} is listed twice"
            faults.append(f"entry {number}: {why}")
    return Listing(tuple(found.values()), malformed, tuple(faults))


def _alive(entries: Iterable[object]) -> frozenset[str]:
    return frozenset(
        entry["sessionId"]
        for entry in entries
        if isinstance(entry, dict)
        and entry.get("status") in LIVE
        and entry.get("alive") is not False
        and isinstance(entry.get("sessionId"), str)
    )


def parse_session(body: bytes, session_id: SessionId) -> SessionSummary | Unreadable:
    """Read the body of `GET /api/sessions/{id}`. The body of another session is unreadable."""
    session = parse_summary(json_value(body))
    if isinstance(session, SessionSummary) and session.session_id != session_id:
        return Unreadable(f"asked for {session_id}, the API answered with {session.session_id}")
    return session


def parse_summary(value: object) -> SessionSummary | Unreadable:
    """Read one session from decoded JSON. It is unreadable only when it has no well-formed ID."""
    if not isinstance(value, dict):
        return Unreadable("it is not a JSON object")
    text = value.get("sessionId")
    if not isinstance(text, str):
        return Unreadable("it has no sessionId that is a string")
    try:
        session_id = check_id(text)
    except ValueError as error:
        return Unreadable(f"its sessionId is not well-formed: {error}")
    odd: list[str] = []
    return SessionSummary(
        session_id,
        status=_read(value, "status", _text, odd),
        created_at=_read(value, "createdAt", _time, odd),
        expires_at=_read(value, "expiresAt", _time, odd),
        batch_id=_read(value, "batchId", _text, odd),
        scenario_id=_read(value, "scenarioId", _text, odd),
        clone_ids=_read(value, "cloneIds", _texts, odd),
        alive=_read(value, "alive", _bool, odd),
        odd=tuple(odd),
    )


def _read(value: Mapping[str, object], name: str, kind: Callable[[object], T], odd: list[str]) -> T | None:
    field = value.get(name)
    if field is None:
        return None
    try:
        return kind(field)
    except ValueError:
        odd.append(name)
        return None


def _text(field: object) -> str:
    if not isinstance(field, str) or not field:
        raise ValueError
    return field


def _texts(field: object) -> tuple[str, ...]:
    if not isinstance(field, list):
        raise ValueError
    return tuple(map(_text, field))


def _time(field: object) -> float:
    return parse_time(_text(field))


def _bool(field: object) -> bool:
    if not isinstance(field, bool):
        raise ValueError
    return field
