"""What an answer means: the one place that knows HTTP statuses. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from reaper.core.model import Answered, Failed, Fault, Outcome, Reply
from reaper.core.times import http_date

DETAIL_BYTES = 200
"""How much of a rejecting answer's body is kept (SPEC 2)."""

MAX_RETRY_AFTER_S = 86_400.0
"""A `Retry-After` beyond this says nothing more: a session lives at most 24 h."""

_VOICE = ("error", "code", "message", "detail")


@dataclass(frozen=True, slots=True)
class Final:
    """The API's own answer that settles the ID."""

    outcome: Outcome
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401, or no token to send. `generation` is the token's it was sent with; None means the current one."""

    generation: int | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something other than the API answered (or a proxy asks for credentials)."""

    status: int


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. `after_s` is what the server asked for, None when it asked for nothing that can be read."""

    after_s: float | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class ServerFault:
    """The API or its teardown runtime failed. `after_s` is a 503's lower bound for this ID."""

    status: int
    after_s: float = 0.0
    own: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer, but a byte of the request was written: the session may have been stopped."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Unsent:
    """No byte of the request left this process."""

    fault: Fault


_STOPPED = Final(Outcome.STOPPED)
Verdict = Final | Unauthorized | Foreign | Throttled | ServerFault | Broken | Unsent


def classify(reply: Reply) -> Verdict:
    """Return what the reply to a DELETE means (SPEC 2)."""
    if isinstance(reply, Failed):
        if reply.fault is Fault.NO_TOKEN:
            return Unauthorized(generation=None)
        return Broken(reply.fault) if reply.written else Unsent(reply.fault)
    status = reply.status
    if status == 204:
        return _STOPPED
    if 500 <= status < 600 or status in (408, 425):
        after_s = (retry_after_s(reply) or 0.0) if status == 503 else 0.0
        return ServerFault(status, after_s, own=status < 500 and _is_own_error(reply.body))
    if status == 401:
        return Unauthorized(reply.token_generation, own=_is_own_error(reply.body))
    if status == 429:
        return Throttled(retry_after_s(reply), own=_is_own_error(reply.body))
    if 200 <= status < 300 and _is_empty_or_json(reply.body):
        return Final(Outcome.STOPPED)
    if status == 407 or not 400 <= status < 500 or not _is_own_error(reply.body):
        return Foreign(status)
    if status in (404, 410):
        return Final(Outcome.ALREADY_GONE)
    if status == 403:
        return Final(Outcome.FORBIDDEN, printable(reply.body))
    return Final(Outcome.REJECTED, printable(reply.body))


def is_own(verdict: Verdict) -> bool:
    """Return whether the API itself spoke, whatever it said."""
    match verdict:
        case Final():
            return True
        case Unauthorized(own=own) | Throttled(own=own) | ServerFault(own=own):
            return own
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Proven:
    """The identity read was answered by the API: 200 with a `sessions` array.

    `generation` is the token's it was asked with; None means the current one.
    """

    generation: int | None = None


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """The API answered, but for another account than the one whose sessions are in the queue."""

    pinned: str
    found: str
    generation: int | None = None


ReadVerdict = Proven | OtherAccount | Unauthorized | Throttled | Foreign | ServerFault | Broken | Unsent


def classify_read(reply: Reply) -> ReadVerdict:
    """Return what the reply to `GET /api/sessions` says of the token and the address (SPEC 2, identity first)."""
    if isinstance(reply, Answered) and reply.status == 200:
        value = _json(reply.body)
        if isinstance(value, dict) and isinstance(value.get("sessions"), list):
            return Proven(reply.token_generation)
        return Foreign(reply.status)
    verdict = classify(reply)
    if isinstance(verdict, Final):
        # The API speaks, but it does not grant the one read that proves who we are talking to.
        return Foreign(reply.status if isinstance(reply, Answered) else 0)
    return verdict


def retry_after_s(reply: Answered) -> float | None:
    """Return the seconds that `Retry-After` asks for, an HTTP-date read against the answer's own `Date`.

    None when the header is missing or unreadable. At least 0, at most `RETRY_AFTER_MOST_S` (RFC 9110, 10.2.3).
    """
    value = (reply.retry_after or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)  # any number of digits: float goes to infinity, int would refuse
    try:
        wait_s = http_date(value) - http_date(reply.date or "")
    except ValueError:
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def printable(body: bytes) -> str | None:
    """Return the first bytes of a body fit for a log line or a terminal; None when nothing is left."""
    text = body[:DETAIL_BYTES].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or None


def _json(body: bytes) -> object:
    """Return the value of a JSON body; None (which no caller takes for an answer) when it is not JSON."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value


def _is_own_error(body: bytes) -> bool:
    value = _json(body)
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in _VOICE)


def _is_empty_or_json(body: bytes) -> bool:
    return not body.strip() or body.strip() == b"null" or _json(body) is not None
