"""Conversions between rows and values: items, recorded sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reaper.core.errors import QueueError
from reaper.core.model import MAX_HISTORY, Item, Send
from reaper.queues.values import item_of

LAST_INSTANT = 253_402_300_799
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


def parse_item(row: Any, now: float) -> Item:
    """Return an item from a row of the statement `items`. Raises QueueError for a damaged one."""
    added_at, at, history, settled_at, lease_until = row[3], row[4], row[9], row[12], row[15]
    with written_by_us():
        _check_instants(added_at, at, settled_at)
        return item_of(row[:15], json.loads(history), is_due=at <= now, is_leased=lease_until is not None)


def _check_instants(*instants: float | None) -> None:
    """Check that a calendar can show the instants. Raises ValueError or TypeError."""
    for at in instants:
        if at is not None and not 0 <= at <= LAST_INSTANT:
            raise ValueError(f"{at!r} is no instant")
