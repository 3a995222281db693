"""The meaning of answers (docs/concepts.md): the one place that makes a verdict of a DELETE's status. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.core.model import Answered, Failed, Fault, Outcome, Reply
from reaper.core.text import json_value
from reaper.core.times import http_date

DETAIL_BYTES = 200
"""The bytes of a rejecting answer's body that are kept (docs/concepts.md)."""

MAX_RETRY_AFTER_S = 86_400.0
"""The longest `Retry-After` that is believed: a session lives at most 24 h."""

_ERROR_KEYS = ("error", "code", "message", "detail")
"""An error of the API itself is a JSON object with a string under one of these keys (docs/concepts.md)."""


@dataclass(frozen=True, slots=True)
class Final:
    """The API's own answer that settles the ID."""

    outcome: Outcome
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401, or no token to send. `generation` is that of the token in the request; None means the current one."""

    generation: int | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another server than the API answered, or a proxy asks for credentials."""

    status: int


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. `after_s` is the silence that the server asks for, seconds; None when it states none that can be read."""

    after_s: float | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class ServerFault:
    """The API or its teardown runtime failed. `after_s`: a 503 asks not to repeat this ID for so many seconds."""

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
    """Return the meaning of the reply to a DELETE (docs/concepts.md)."""
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
        return Final(Outcome.FORBIDDEN, excerpt(reply.body))
    return Final(Outcome.REJECTED, excerpt(reply.body))


def is_own(verdict: Verdict) -> bool:
    """Return whether the answer is the API's own (docs/concepts.md), whatever it says."""
    match verdict:
        case Final():
            return True
        case Unauthorized(own=own) | Throttled(own=own) | ServerFault(own=own):
            return own
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Proven:
    """The API answered the identity read: 200 with a `sessions` array.

    `generation` is that of the token in the request; None means the current one.
    """

    generation: int | None = None


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """The API answered for another account than the one whose sessions are in the queue."""

    pinned: str
    found: str
    generation: int | None = None


ReadVerdict = Proven | OtherAccount | Unauthorized | Throttled | Foreign | ServerFault | Broken | Unsent


def classify_read(reply: Reply) -> ReadVerdict:
    """Return what the reply to `GET /api/sessions` proves about token and address (docs/concepts.md)."""
    if isinstance(reply, Answered) and reply.status == 200:
        value = json_value(reply.body)
        if isinstance(value, dict) and isinstance(value.get("sessions"), list):
            return Proven(reply.token_generation)
        return Foreign(reply.status)
    verdict = classify(reply)
    if isinstance(verdict, Final):
        # The API answers, but refuses the one read that proves that it is the API.
        return Foreign(reply.status if isinstance(reply, Answered) else 0)
    return verdict


def retry_after_s(reply: Answered) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3): at least 0, at most `MAX_RETRY_AFTER_S`.

    An HTTP-date is read against the answer's own `Date`. None when the header is missing or cannot be read.
    """
    value = (reply.retry_after or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)  # any number of digits: float goes to infinity, int would refuse
    try:
        wait_s = http_date(value) - http_date(reply.date or "")
    except ValueError:
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def excerpt(body: bytes) -> str | None:
    """Return the first printable bytes of a body as one line; None when it has none."""
    text = body[:DETAIL_BYTES].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or None


def _is_own_error(body: bytes) -> bool:
    value = json_value(body)
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in _ERROR_KEYS)


def _is_empty_or_json(body: bytes) -> bool:
    return not body.strip() or body.strip() == b"null" or json_value(body) is not None
