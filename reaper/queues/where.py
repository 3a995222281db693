"""Conditions on the rows that an operator looks at or acts on through the page: a selection, or a group of the dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from reaper.core.model import DEAD, Item, Outcome, State
from reaper.core.words import DEAD_LETTERS
from reaper.queues.base import LedgerReader
from reaper.queues.dead_groups import group_of
from reaper.queues.selection import OPEN_STATES, Selection

STATES = tuple(str(state) for state in (State.READY, State.SCHEDULED, State.RETRYING, State.IN_FLIGHT))
FIELDS = ("state", "source", "outcome", "status", "message")
"""The names of the conditions, in the query of a page and in the body of an act."""


@dataclass(frozen=True, slots=True)
class Where:
    """A selection, and of dead letters perhaps the status and the message of one group."""

    selection: Selection
    status: str | None = None
    """As a number in words, "none" for letters without an answer; None: any."""
    message: str | None = None

    def fits(self, item: Item) -> bool:
        """Return whether a row of the selection meets the conditions beyond it."""
        if self.status is None and self.message is None:
            return True
        if item.outcome not in DEAD:
            return False
        group = group_of(item)
        return self.status in (None, str(group.status or "none")) and self.message in (None, group.message)

    async def rows(self, queue: LedgerReader) -> AsyncIterator[Item]:
        """Yield the rows."""
        async with aclosing(queue.select(self.selection)) as items:  # type: ignore[type-var]
            async for item in items:
                if self.fits(item):
                    yield item


def where_of(fields: Mapping[str, str]) -> Where:
    """Return the conditions that some fields name. Raises ValueError with a sentence for a value that is none.

    Without a state all open rows and the dead letters are meant, with an outcome dead letters alone.
    """
    outcome, state = fields.get("outcome", ""), fields.get("state", "")
    if outcome and outcome not in DEAD:
        raise ValueError(f"outcome is one of {', '.join(one for one in Outcome if one in DEAD)}")
    if state and state not in (*STATES, DEAD_LETTERS):
        raise ValueError(f"state is one of {', '.join((*STATES, DEAD_LETTERS))}")
    dead_only = bool(outcome or state == DEAD_LETTERS or "status" in fields or "message" in fields)
    if dead_only and state not in ("", DEAD_LETTERS):
        raise ValueError("outcome, status and message choose among dead letters, and those have no other state")
    states = frozenset[State]() if dead_only else frozenset({State(state)}) if state else OPEN_STATES
    outcomes = frozenset({Outcome(outcome)}) if outcome else frozenset[Outcome]() if states and state else DEAD
    return Where(Selection(states, outcomes, fields.get("source", "")), fields.get("status"), fields.get("message"))
