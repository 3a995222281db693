"""Renders the log line that every session gets by a template: `logs.write_info`.

A test holds it together with the general way: both give the same bytes.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quote

from reaper.core.model import Lease, Send, Settle
from reaper.telemetry import events


def attempts_of(lease: Lease, settle: Settle, send: Send | None) -> int:
    """Return the charged sends of the round, this one included."""
    return lease.attempts + (1 if send and settle.charged else 0)


def settled_line(at: str, lease: Lease, settle: Settle, send: Send | None, waited_s: float) -> str:
    """Return the line of `session.settled` in plain JSON; `at` is its time in RFC 3339."""
    status: object = "null"
    duration = request_id = "null"
    if send is not None:
        duration = str(round(send.duration_s, 4))
        if send.status is not None:
            status = send.status
        if send.request_id is not None:
            request_id = quote(send.request_id)
    more = f', "detail": {quote(settle.detail)}' if settle.detail else ""
    if lease.unanswered:
        more += f', "unanswered": {lease.unanswered}'
    return (
        f'{{"timestamp": "{at}", "level": "info", "event": "{events.SESSION_SETTLED}", '
        f'"session_id": {quote(lease.session_id)}, "outcome": "{settle.outcome.value}", "status": {status}, '
        f'"attempts": {attempts_of(lease, settle, send)}, "duration_s": {duration}, "waited_s": {round(waited_s, 3)}, '
        f'"source": {quote(lease.source)}, "request_id": {request_id}{more}}}'
    )
