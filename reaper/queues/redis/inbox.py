"""The producers' inbox: a stream that any program may add to with one XADD, emptied into the queue by every reaper."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from reaper.core.ids import check_id
from reaper.core.text import printable
from reaper.core.times import parse_time
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.rows import invalid
from reaper.queues.redis.scripts import load
from reaper.queues.values import InvalidLine, NewItem

SOURCE = "inbox"
AT_ONCE = 500
ROUNDS = 20
"""Portions of one draining; what is left then comes with the next."""
LEFT_BEHIND_S = 30.0
"""An entry that a reader has had for so long without taking it in was left behind: the reader died."""
_READ, _TAKE = load("inbox_read"), load("inbox_take")


@dataclass(slots=True, eq=False)
class Inbox:
    """Takes in what producers added. `after_s` is the time to live of entries without a due time."""

    engine: RedisConnection
    after_s: float = 0.0
    left_behind_s: float = LEFT_BEHIND_S

    async def drain(self) -> int:
        """Take in what is there; return how many IDs were accepted. Any number of processes may do it at once."""
        accepted = 0
        for _ in range(ROUNDS):
            entries = await self.engine.run(_READ, int(self.left_behind_s * 1000), AT_ONCE)
            if entries:
                values = [value for entry_id, flat in entries for value in _judged(entry_id, flat)]
                accepted += int(await self.engine.run(_TAKE, max(0.0, self.after_s), *values))
            if len(entries) < AT_ONCE:
                break
        return accepted


def _judged(entry_id: str, flat: Sequence[str]) -> list[str]:
    try:
        new = judge(flat)
    except ValueError as fault:
        shown = (
            json.dumps(pairs) if (pairs := [list(pair) for pair in zip(flat[::2], flat[1::2], strict=False)]) else ""
        )
        text = printable(shown.encode("utf-8", "surrogateescape"))
        return [entry_id, "", "", invalid(SOURCE, InvalidLine(0, f"entry {entry_id}: {fault}", text))]
    return [entry_id, new.session_id, "" if new.due_at is None else repr(new.due_at), ""]


def judge(flat: Sequence[str]) -> NewItem:
    """Return the item that an entry's fields name; fields of other names are not looked at.

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
    return at
