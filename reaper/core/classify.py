"""The meaning of answers (docs/concepts.md): the one place that makes a verdict of a DELETE's status. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reaper.core.error_body import error_message, is_own_error
from reaper.core.json_list import is_session_list
from reaper.core.model import Answered, Failed, Fault, Outcome, Reply
from reaper.core.target import OtherTarget
from reaper.core.text import json_value
from reaper.core.times import http_date
from reaper.core.value import value

LIST_BODY_BYTES = 32 * 1024 * 1024
"""The bytes of a list that are read; a longer one is cut."""
_begins_as_list = re.compile(rb'\s*\{(?:[^{}\[\]]*,)?\s*"sessions"\s*:\s*\[').match
MAX_RETRY_AFTER_S = 86_400.0
"""The longest `Retry-After` that is believed: a session lives at most 24 h."""


@value(frozen=True, slots=True)
class Final:
    """The API's own answer that settles the ID."""

    outcome: Outcome
    detail: str | None = None
    status: int = field(default=0, compare=False)
    """For the words of a pause; the outcome has the meaning."""


@value(frozen=True, slots=True)
class Unauthorized:
    """401, or no token to send. `generation` is that of the token in the request; None means the current one."""

    generation: int | None
    own: bool = False
    error: str = field(default="", compare=False)
    """The reason why there is none, for the operator."""


@value(frozen=True, slots=True)
class Foreign:
    """Another server than the API answered, or a proxy refused. `note` says more of the answer, for the operator."""

    status: int
    note: str = field(default="", compare=False)
    unsent: bool = False
    """No byte of the request left this process."""

    @property
    def shown(self) -> str:
        """The status with the note."""
        return f"{self.status} {self.note}" if self.note else str(self.status)


@value(frozen=True, slots=True)
class Throttled:
    """429. `after_s` is the silence that the server asks for, seconds; None when it states none that can be read."""

    after_s: float | None
    own: bool = False


@value(frozen=True, slots=True)
class ServerFault:
    """The API or its teardown runtime failed. `after_s`: a 503 asks not to repeat this ID for so many seconds."""

    status: int
    after_s: float = 0.0
    own: bool = False


@value(frozen=True, slots=True)
class Broken:
    """No answer, but a byte of the request was written: the session may have been stopped. `error` is for people."""

    fault: Fault
    error: str = field(default="", compare=False)


@value(frozen=True, slots=True)
class Unsent:
    """No byte of the request left this process. `error` is for people."""

    fault: Fault
    error: str = field(default="", compare=False)


_STOPPED = Final(Outcome.STOPPED)
Verdict = Final | Unauthorized | Foreign | Throttled | ServerFault | Broken | Unsent


def classify(reply: Reply) -> Verdict:
    """Return the meaning of the reply to a DELETE (docs/concepts.md)."""
    if isinstance(reply, Failed):
        if reply.fault is Fault.NO_TOKEN:
            return Unauthorized(generation=None, error=reply.error)
        if reply.fault is Fault.PROXY:
            return Foreign(reply.status, "of the proxy to CONNECT", unsent=True)
        kind = Broken if reply.written else Unsent
        return kind(reply.fault, reply.error)
    status = reply.status
    if status == 204:
        return _STOPPED
    if 500 <= status < 600 or status in (408, 425):
        after_s = (retry_after_s(reply) or 0.0) if status == 503 else 0.0
        return ServerFault(status, after_s, own=status < 500 and is_own_error(reply.body))
    if status == 401:
        return Unauthorized(reply.token_generation, own=is_own_error(reply.body))
    if status == 429:
        return Throttled(retry_after_s(reply), own=is_own_error(reply.body))
    if reply.undecoded is not None:
        return foreign(reply)
    if 200 <= status < 300 and _is_empty_or_json(reply.body):
        return Final(Outcome.STOPPED)
    if status == 407 or not 400 <= status < 500 or not is_own_error(reply.body):
        return foreign(reply)
    if status in (404, 410):
        return Final(Outcome.ALREADY_GONE)
    return Final(Outcome.FORBIDDEN if status == 403 else Outcome.REJECTED, error_message(reply.body), status)


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
    known: bool = True
    """Whether the API named the other account; False: it named none."""


ReadVerdict = Proven | OtherTarget | OtherAccount | Unauthorized | Throttled | Foreign | ServerFault | Broken | Unsent


def classify_read(reply: Reply) -> ReadVerdict:
    """Return what the reply to `GET /api/sessions` proves about token and address (docs/concepts.md).

    A list that is too long to be read whole proves it by its beginning.
    """
    if isinstance(reply, Answered) and reply.status == 200:
        if is_session_list(reply.body):
            return Proven(reply.token_generation)
        if len(reply.body) >= LIST_BODY_BYTES and _begins_as_list(reply.body[:4096]):
            return Proven(reply.token_generation)
        return foreign(reply)
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


def foreign(reply: Answered) -> Foreign:
    """Return the verdict of another server's answer, with what there is to say of it."""
    if reply.undecoded is not None:
        return Foreign(reply.status, f"with a Content-Encoding that cannot be decoded: {reply.undecoded}")
    return Foreign(reply.status, "of a proxy, which asks for credentials" if reply.status == 407 else "")


def _is_empty_or_json(body: bytes) -> bool:
    return not body.strip() or body.strip() == b"null" or json_value(body) is not None
