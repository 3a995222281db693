"""Between the values of PostgreSQL and ours: texts, sends, items."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from reaper.core.model import Item, Send
from reaper.queues.values import item_of


def clean(text: str) -> str:
    """Return a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def send_fields(send: Send) -> dict[str, Any]:
    """Return a send as the fields that the history stores."""
    fields = {name: value for name, value in asdict(send).items() if value is not None}
    return {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}


def item(row: tuple[Any, ...]) -> Item:
    """Return the item of a row of the statement `ITEM`."""
    return item_of(row[:15], row[9], is_due=row[15], is_leased=row[16], owner=row[18])
