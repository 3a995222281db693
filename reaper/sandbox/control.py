"""The control surface at `/_sandbox`, for rehearsals from another terminal; it serves clients on this machine only.

`GET /_sandbox` returns the counters. `POST /_sandbox` takes a JSON object; if any part of it is wrong, nothing changes:

    token         the bearer token that is good from now on
    mode          ok pause outage reset hang html404 html405 json404 html200 redirect
    deletes_only  with `mode`: true leaves reads as they are
    latency       as `--latency`
    fail          as `--fail`
    list          ok half empty duplicates malformed html cut endless: the fault of the list
    user          the user of the token, for GET /auth/me; empty: that answers 404
    skew_s        seconds by which the server's clock is ahead of this machine's
    renew         {"env_12345": 600}: sessions, and in how many seconds from now they expire
    script        {"env_12345": ["502", "lost"]}: what the next DELETEs of a session get; "forever" repeats the last

    curl -d '{"token": "archal_ws_new"}' http://127.0.0.1:PORT/_sandbox
    curl -d '{"mode": "outage"}' http://127.0.0.1:PORT/_sandbox

It works in every mode and needs no token. Its answers contain none.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Protocol

from reaper.sandbox.answers import Answer, as_json, envelope
from reaper.sandbox.delivery import Stamp
from reaper.sandbox.faults import Behaviour, Mode, Rates, parse_rates, parse_script
from reaper.sandbox.http_server import Request
from reaper.sandbox.latency import Latency, parse_latency
from reaper.sandbox.listing import ListFault
from reaper.sandbox.recorder import Counters, fingerprint
from reaper.sandbox.sessions import Account

PATH = "/_sandbox"
_TEXTS = ("token", "mode", "latency", "fail", "list", "user")
_OTHERS = ("deletes_only", "skew_s", "renew", "script")
_DAY_S = 86_400
_LISTS = ("ok", *ListFault)


class Controlled(Protocol):
    """The parts of `Sandbox` that the control surface reads and changes."""

    latency: Latency
    rates: Rates
    sessions: Account
    token: str
    user_id: str | None
    list_fault: ListFault | None
    mode: Mode
    deletes_only: bool
    stamp: Stamp
    counters: Counters

    @property
    def open_connections(self) -> int: ...
    def set_mode(self, mode: Mode | str, *, deletes_only: bool = False) -> None: ...
    def set_list(self, fault: str | None) -> None: ...
    def renew(self, session_id: str, for_s: float) -> None: ...
    def script(self, session_id: str, *behaviours: str | Behaviour) -> None: ...


def answer(sandbox: Controlled, request: Request, *, local: bool) -> Answer:
    """Perform one request to the control surface; `local`: the client is on this machine."""
    if not local:
        return envelope(403, "The control surface answers clients on this machine only.")
    if request.method == "GET":
        return as_json(state(sandbox))
    if request.method != "POST":
        return envelope(405, "The control surface knows GET and POST.", headers=(("allow", "GET, POST"),))
    try:
        _change(sandbox, json.loads(request.body))
    except ValueError as error:
        return envelope(400, str(error))
    return as_json(state(sandbox))


def state(sandbox: Controlled) -> dict[str, object]:
    """Return counters and settings; of the token, only its fingerprint."""
    return {
        **asdict(sandbox.counters),
        "sessions": len(sandbox.sessions),
        "active": len(sandbox.sessions.active),
        "open_connections": sandbox.open_connections,
        "mode": sandbox.mode.value,
        "deletes_only": sandbox.deletes_only,
        "list": sandbox.list_fault or "ok",
        "user": sandbox.user_id or "",
        "skew_s": sandbox.stamp.skew_s,
        "token": fingerprint(sandbox.token),
    }


def _change(sandbox: Controlled, changes: object) -> None:  # noqa: C901  # one check after another, then the changes
    if not isinstance(changes, dict) or not changes:
        raise ValueError(f"send a JSON object with some of: {', '.join((*_TEXTS, *_OTHERS))}")
    for key in changes:
        if key not in (*_TEXTS, *_OTHERS):
            raise ValueError(f"{key!r} is not known; use some of: {', '.join((*_TEXTS, *_OTHERS))}")
    for key in _TEXTS:
        if key in changes and not isinstance(changes[key], str):
            raise ValueError(f"{key} must be a string")
    if not changes.get("token", "x"):
        raise ValueError("token must not be empty")
    deletes_only, scripts = changes.get("deletes_only", False), changes.get("script", {})
    if not isinstance(deletes_only, bool) or ("deletes_only" in changes and "mode" not in changes):
        raise ValueError("deletes_only is true or false, and comes with a mode")
    if not isinstance(scripts, dict) or not all(_is_texts(parts) for parts in scripts.values()):
        raise ValueError("script must be an object of lists of behaviours")
    # Parse everything before changing anything.
    latency = parse_latency(changes["latency"]) if "latency" in changes else sandbox.latency
    rates = parse_rates(changes["fail"]) if "fail" in changes else sandbox.rates
    if changes.get("mode", Mode.OK) not in set(Mode):
        raise ValueError(f"mode {changes['mode']!r} is not known; use {', '.join(Mode)}")
    if changes.get("list", "ok") not in _LISTS:
        raise ValueError(f"list {changes['list']!r} is not known; use {', '.join(_LISTS)}")
    skew_s, renewals = changes.get("skew_s", sandbox.stamp.skew_s), changes.get("renew", {})
    if not _is_seconds(skew_s):
        raise ValueError("skew_s must be a number of seconds, at most 1000 days")
    if not isinstance(renewals, dict) or not all(map(_is_seconds, renewals.values())):
        raise ValueError("renew must be an object of session IDs and seconds")
    for session_id in renewals:
        if sandbox.sessions.get(session_id) is None:
            raise ValueError(f"renew: there is no session {session_id!r}")
    for parts in scripts.values():
        parse_script(parts)

    sandbox.latency, sandbox.rates = latency, rates
    sandbox.token = changes.get("token", sandbox.token)
    sandbox.stamp.skew_s = skew_s
    if "user" in changes:
        sandbox.user_id = changes["user"] or None
    if "list" in changes:
        sandbox.set_list(None if changes["list"] == "ok" else changes["list"])
    for session_id, for_s in renewals.items():
        sandbox.renew(session_id, for_s)
    for session_id, parts in scripts.items():
        sandbox.script(session_id, *parts)
    if "mode" in changes:
        sandbox.set_mode(changes["mode"], deletes_only=deletes_only)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1000 * _DAY_S


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
