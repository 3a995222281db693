"""The calls of the API: recognize one in a request, and perform it on the account."""

from __future__ import annotations

import re
from enum import Enum
from typing import assert_never
from urllib.parse import unquote

from reaper.sandbox.answers import Answer, as_json, envelope
from reaper.sandbox.http_server import Request
from reaper.sandbox.sessions import Account, Stop

_SEGMENT = re.compile(r"/api/sessions/((?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+)")

GONE = envelope(404, "There is no such session.")
NOT_YOURS = envelope(403, "This session belongs to somebody else.")
NO_ROUTE = envelope(404, "There is nothing at this path.")
UNAUTHORIZED = envelope(401, "The token is missing, invalid or expired.")
_STOPS = {Stop.STOPPED: Answer(204), Stop.PRETENDED: Answer(204), Stop.FORBIDDEN: NOT_YOURS, Stop.UNKNOWN: GONE}


class Call(Enum):
    """A call of the API; every DELETE is a stop, whatever its path."""

    LIST = "list"
    GET = "get"
    ME = "me"
    CREATE = "create"
    STOP = "stop"
    OTHER = "other"


def call_of(request: Request, session_id: str | None) -> Call:
    """Return the call that a request makes."""
    match request.method, request.target:
        case "DELETE", _:
            return Call.STOP
        case "GET", "/api/sessions":
            return Call.LIST
        case "POST", "/api/sessions":
            return Call.CREATE
        case "GET", "/auth/me":
            return Call.ME
        case "GET", _ if session_id is not None:
            return Call.GET
    return Call.OTHER


def perform(
    call: Call, request: Request, session_id: str | None, account: Account, user_id: str | None, now: float
) -> tuple[Answer, bool]:
    """Perform a call. Return the answer, and whether it stopped a session."""
    match call:
        case Call.STOP:
            stop = account.stop(session_id, now) if session_id is not None else Stop.UNKNOWN
            return _STOPS[stop], stop is Stop.STOPPED
        case Call.LIST:
            return Answer(200, account.listing()), False
        case Call.ME:
            return (NO_ROUTE if user_id is None else me(user_id)), False
        case Call.GET:
            session = account.get(session_id or "")
            if session is None:
                return GONE, False
            return (NOT_YOURS if session.foreign else as_json(session.summary())), False
        case Call.CREATE:
            key = request.headers.get(b"idempotency-key", b"").decode("latin-1")
            try:
                return as_json(account.create(request.body, key or None, now).summary()), False
            except ValueError as error:
                return envelope(400, f"The request was not understood: {error}."), False
        case Call.OTHER:
            return NO_ROUTE, False
        case _:
            assert_never(call)


def me(user_id: str) -> Answer:
    """Return the answer to `GET /auth/me`."""
    return as_json({"userId": user_id, "email": f"{user_id}@example.invalid", "plan": "sandbox"})


def decoded(target: str) -> str | None:
    """Return the decoded session ID of a target; None unless exactly one clean segment follows the list's path."""
    match = _SEGMENT.fullmatch(target)
    if match is None or match[1] in (".", ".."):
        return None
    try:
        return unquote(match[1], errors="strict")
    except UnicodeDecodeError:
        return None


def bearer(request: Request) -> str:
    """Return the bearer token of a request, empty when it has none."""
    scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
