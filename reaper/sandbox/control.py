"""The control surface at `/_sandbox`, for rehearsals from another terminal; it answers clients on this machine only.

`GET /_sandbox` tells the counters. `POST /_sandbox` takes a JSON object; what is wrong in it changes nothing at all:

    token         the bearer token that is good from now on
    mode          ok pause outage reset hang html404 html405 json404 html200 redirect
    deletes_only  with `mode`: true leaves reads as they are
    latency       as `--latency`
    fail          as `--fail`
    list          ok half empty duplicates malformed html cut endless: what is wrong with the list
    user          whose the token is, for GET /auth/me; empty: that answers 404
    skew_s        how far the server's clock is ahead of this machine's
    renew         {"env_12345": 600}: sessions, and in how many seconds they expire from now on
    script        {"env_12345": ["502", "lost"]}: what the next DELETEs of a session meet; "forever" repeats the last

    curl -d '{"token": "archal_ws_new"}' http://127.0.0.1:PORT/_sandbox
    curl -d '{"mode": "outage"}' http://127.0.0.1:PORT/_sandbox

It works in every mode and needs no token. No answer of it holds one.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from reaper.sandbox.answers import Answer, as_json, envelope
from reaper.sandbox.faults import Mode, parse_rates, parse_script
from reaper.sandbox.http_server import Request
from reaper.sandbox.latency import parse_latency
from reaper.sandbox.listing import ListFault
from reaper.sandbox.recorder import fingerprint

if TYPE_CHECKING:
    from reaper.sandbox.server import Sandbox

PATH = "/_sandbox"
_TEXTS = ("token", "mode", "latency", "fail", "list", "user")
_OTHERS = ("deletes_only", "skew_s", "renew", "script")
_DAY_S = 86_400
_LISTS = ("ok", *ListFault)


def answer(sandbox: Sandbox, request: Request, *, local: bool) -> Answer:
    """Carry out one request to the control surface."""
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


def state(sandbox: Sandbox) -> dict[str, object]:
    """Return counters and settings; the token only as its fingerprint."""
    return {
        **asdict(sandbox.counters),
        "sessions": len(sandbox.sessions),
        "active": len(sandbox.sessions.active),
        "open_connections": sandbox.open_connections,
        "mode": sandbox.mode.value,
        "deletes_only": sandbox.deletes_only,
        "list": sandbox.list_fault or "ok",
        "user": sandbox.user_id or "",
        "skew_s": sandbox.skew_s,
        "token": fingerprint(sandbox.token),
    }


def _change(sandbox: Sandbox, wish: object) -> None:
    if not isinstance(wish, dict) or not wish:
        raise ValueError(f"send a JSON object with some of: {', '.join((*_TEXTS, *_OTHERS))}")
    for key in wish:
        if key not in (*_TEXTS, *_OTHERS):
            raise ValueError(f"{key!r} is not known; use some of: {', '.join((*_TEXTS, *_OTHERS))}")
    for key in _TEXTS:
        if key in wish and not isinstance(wish[key], str):
            raise ValueError(f"{key} must be a string")
    if not wish.get("token", "x"):
        raise ValueError("token must not be empty")
    deletes_only, scripts = wish.get("deletes_only", False), wish.get("script", {})
    if not isinstance(deletes_only, bool) or ("deletes_only" in wish and "mode" not in wish):
        raise ValueError("deletes_only is true or false, and comes with a mode")
    if not isinstance(scripts, dict) or not all(_is_texts(parts) for parts in scripts.values()):
        raise ValueError("script must be an object of lists of behaviours")
    # Everything is read before anything is changed.
    latency = parse_latency(wish["latency"]) if "latency" in wish else sandbox.latency
    rates = parse_rates(wish["fail"]) if "fail" in wish else sandbox.rates
    if wish.get("mode", Mode.OK) not in set(Mode):
        raise ValueError(f"mode {wish['mode']!r} is not known; use {', '.join(Mode)}")
    if wish.get("list", "ok") not in _LISTS:
        raise ValueError(f"list {wish['list']!r} is not known; use {', '.join(_LISTS)}")
    skew_s, renewed = wish.get("skew_s", sandbox.skew_s), wish.get("renew", {})
    if not _is_seconds(skew_s):
        raise ValueError("skew_s must be a number of seconds, at most 1000 days")
    if not isinstance(renewed, dict) or not all(map(_is_seconds, renewed.values())):
        raise ValueError("renew must be an object of session IDs and seconds")
    for session_id in renewed:
        if sandbox.sessions.get(session_id) is None:
            raise ValueError(f"renew: there is no session {session_id!r}")
    for parts in scripts.values():
        parse_script(parts)

    sandbox.latency, sandbox.rates = latency, rates
    sandbox.token = wish.get("token", sandbox.token)
    sandbox.skew_s = skew_s
    if "user" in wish:
        sandbox.user_id = wish["user"] or None
    if "list" in wish:
        sandbox.set_list(None if wish["list"] == "ok" else wish["list"])
    for session_id, for_s in renewed.items():
        sandbox.renew(session_id, for_s)
    for session_id, parts in scripts.items():
        sandbox.script(session_id, *parts)
    if "mode" in wish:
        sandbox.set_mode(wish["mode"], deletes_only=deletes_only)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1000 * _DAY_S


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
