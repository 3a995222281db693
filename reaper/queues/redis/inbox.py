"""The producers' inbox: a stream that any program adds to with XADD and every reaper empties into the queue."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from reaper.core.ids import check_id
from reaper.core.text import describe_unforeseen, printable
from reaper.core.times import LAST_INSTANT, parse_time
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.rows import invalid
from reaper.queues.redis.scripts import load
from reaper.queues.values import InvalidLine, NewItem

SOURCE = "inbox"
AT_ONCE = 500
ROUNDS = 20
"""Portions of one drain; the next drain takes the rest."""
ABANDONED_S = 30.0
"""An entry that was read so long ago and not taken in is abandoned: its reader died."""
_READ, _TAKE = load("inbox_read"), load("inbox_take")


@dataclass(slots=True, eq=False)
class Inbox:
    """Takes the entries of producers in; those without a due time become due `after_s` from now."""

    connection: RedisConnection
    after_s: float = 0.0
    abandoned_s: float = ABANDONED_S

    async def drain(self) -> int:
        """Take the entries in; return how many IDs were accepted. Any number of processes may do it at once."""
        accepted = 0
        for _ in range(ROUNDS):
            entries = await self.connection.run(_READ, int(self.abandoned_s * 1000), AT_ONCE)
            if entries:
                values = [value for entry_id, flat in entries for value in _take_values(entry_id, flat)]
                accepted += int(await self.connection.run(_TAKE, max(0.0, self.after_s), *values))
            if len(entries) < AT_ONCE:
                break
        return accepted


def _take_values(entry_id: str, flat: Sequence[str]) -> list[str]:
    try:
        new = parse_entry(flat)
    except Exception as error:  # noqa: BLE001 - no single entry may stop the others
        fault = str(error) if isinstance(error, ValueError) else describe_unforeseen(error)
        pairs = [list(pair) for pair in zip(flat[::2], flat[1::2], strict=False)]
        shown = json.dumps(pairs) if pairs else ""
        text = printable(shown.encode("utf-8", "surrogateescape"))
        line = InvalidLine(0, f"entry {entry_id}: {fault}", text)
        return [entry_id, "", "", invalid(SOURCE, line, min(int(entry_id.partition("-")[0]) / 1000, LAST_INSTANT))]
    return [entry_id, new.session_id, "" if new.due_at is None else repr(new.due_at), ""]


def parse_entry(flat: Sequence[str]) -> NewItem:
    """Return the item that an entry's fields name; fields of other names are ignored.

    Raises ValueError with the reason when the entry is not well-formed.
    """
    fields = list(zip(flat[::2], flat[1::2], strict=False))
    ids = {value for name, value in fields if name == "session_id"}
    dues = {value for name, value in fields if name == "due_at"}
    if not ids:
        raise ValueError("there is no field session_id")
    if len(ids) > 1 or len(dues) > 1:
        raise ValueError("two different values of one field")
    return NewItem(check_id(ids.pop()), _due(dues.pop()) if dues else None)


def _due(text: str) -> float:
    try:
        at = float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else parse_time(text)
    except ValueError as fault:
        raise ValueError(f"due_at: {fault}") from None
    if not math.isfinite(at):
        raise ValueError("due_at is not a time")
    return min(at, LAST_INSTANT)
