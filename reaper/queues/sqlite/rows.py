"""Conversions between rows and values: items, recorded sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reaper.core.errors import QueueError
from reaper.core.model import MAX_HISTORY, Item, Send
from reaper.core.times import LAST_INSTANT
from reaper.queues.accounting import is_due
from reaper.queues.values import item_of

"""The end of the year 9999 in Unix seconds, the last that a calendar can show."""


@contextmanager
def written_by_us() -> Iterator[None]:
    """Parse text and rows that this program wrote: an error in them is damage. Raises QueueError."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise QueueError(
            f"a row of the ledger is damaged ({error}): restore a copy made with `reaper queue backup`"
        ) from error


def with_send(history: str, send: Send) -> str:
    """Return the recorded sends with one more; the oldest goes when there are more than `MAX_HISTORY`."""
    with written_by_us():
        return json.dumps([*json.loads(history), fields_of(send)][-MAX_HISTORY:])


def fields_of(send: Send) -> dict[str, object]:
    """Return what is recorded of a send."""
    fields: dict[str, object] = {"at": send.at, "duration_s": send.duration_s, "status": send.status}
    if send.status is None:
        del fields["status"]
    if send.error is not None:
        fields["error"] = send.error
    if send.request_id is not None:
        fields["request_id"] = send.request_id
    return fields


def parse_item(row: Any, now: float, steady: float, is_alive: Callable[[str], bool]) -> Item:
    """Return an item from a row of the statement `items`. Raises QueueError for a damaged one.

    In flight, its due time is the end of its lease by the wall clock; due, it is never ahead of that clock.
    The lease of a dead process is over: the next start of a process, or `maintain`, releases it.
    """
    added_at, at, history, settled_at, lease_until = row[3], row[4], row[9], row[12], row[15]
    wait_s, owner = row[17], row[18]
    with written_by_us():
        _check_instants(added_at, min(at, LAST_INSTANT), settled_at)
        if lease_until is None:
            over = is_due(at, wait_s, now)
        elif lease_until > steady and not is_alive(owner):
            over = True
        else:
            over, at = lease_until <= steady, now + lease_until - steady
        if over and settled_at is None:
            at = min(at, now)
        fields = (*row[:4], at, *row[5:15])
        return item_of(fields, json.loads(history), is_due=over, is_leased=lease_until is not None, owner=owner)


def _check_instants(*instants: float | None) -> None:
    """Check that a calendar can show the instants. Raises ValueError or TypeError."""
    for at in instants:
        if at is not None and not 0 <= at <= LAST_INSTANT:
            raise ValueError(f"{at!r} is no instant")
