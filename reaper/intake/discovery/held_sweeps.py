"""Queue chosen sessions, and change the holds on sweeps that wait for an operator (docs/discovery.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from reaper.core.discovery import ghosts as core_ghosts
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import Guard, Hold, HoldHead, Holds
from reaper.core.discovery.policy import Rule
from reaper.core.errors import QueueError
from reaper.core.ids import check_id
from reaper.core.model import Outcome, SessionId
from reaper.intake.events import NOTHING, add_up
from reaper.queues.base import IntakePort, LedgerReader, RunSet, ValuePort
from reaper.queues.values import Added, Batch, NewItem

SOURCE = "discovery"
"""Sessions that a sweep queued have as source this word, a colon and the rule."""

LISTED = "listed"
"""Key of the value that keeps the session IDs of the last list, against which the next one is measured."""

REOPENED = frozenset({Outcome.PROTECTED})
"""Outcomes after which a session can be chosen again: a session renewed then may have expired since."""


class DiscoveryQueue(IntakePort, ValuePort, LedgerReader, Protocol):
    """The ports of the queue that discovery uses."""


async def add_chosen(
    queue: DiscoveryQueue, sessions: Mapping[SessionId, Rule], into: RunSet | None = None, by: str | None = None
) -> Added:
    """Queue chosen sessions, each with its rule in the source; re-open those that were skipped as protected."""
    total = NOTHING
    groups: dict[Rule, list[NewItem]] = {}
    for session_id, rule in sessions.items():
        groups.setdefault(rule, []).append(NewItem(session_id))
    for rule, items in groups.items():
        batch = Batch(f"{SOURCE}:{rule.value}", items)
        total = add_up(total, await queue.add(batch, again=REOPENED, by=by, into=into))
    return total


async def open_holds_and_ghosts(queue: ValuePort) -> dict[str, int]:
    """Return the number of open holds and of ghosts."""
    try:
        holds = core_holds.open_holds(core_holds.read_holds(await queue.read_value(core_holds.KEY)), queue.now())
    except ValueError:
        holds = ()  # `reaper holds` reports the malformed value
    ghosts = core_ghosts.read_ghosts(await queue.read_value(core_ghosts.KEY))
    return {"holds": len(holds), "ghosts": len(ghosts.proven)}


def read_listed(text: str | None, now: float) -> frozenset[SessionId] | None:
    """Parse the session IDs of the previous reading; None when it is older than the life of a hold."""
    try:
        value = json.loads(text or "null")
        if now - value["at"] > core_holds.HOLD_LIFE_S:
            return None
        return frozenset(check_id(each) for each in value["ids"])
    except (ValueError, TypeError, KeyError):
        return None


async def reset_baseline(queue: ValuePort, hold: Hold) -> None:
    """Forget the last list if this hold, now decided, was for a shrunken list: the next list starts a new baseline."""
    if Guard.LIST_SHRINK in hold.guards:
        await queue.compare_and_set(LISTED, None, was=await queue.read_value(LISTED))


async def change_holds(queue: ValuePort, change: Callable[[Holds], Holds]) -> tuple[Holds, bool]:
    """Apply `change` to the holds of the queue; return them, and whether it changed anything. Retries after a race.

    Raises QueueError when the holds cannot be read.
    """
    while True:
        text = await queue.read_value(core_holds.KEY)
        before = _parsed(text)
        holds = core_holds.expire(before, queue.now())
        changed = change(holds)
        if changed == before:
            return changed, False
        if await queue.compare_and_set(core_holds.KEY, core_holds.to_text(changed), was=text):
            return changed, changed != holds


async def holds_of(queue: ValuePort) -> Holds:
    """Return the holds of the queue, those closed that nobody decided in time. Raises QueueError as `change_holds`."""
    return core_holds.expire(_parsed(await queue.read_value(core_holds.KEY)), queue.now())


class HoldHeads:
    """The holds of a queue without their sessions. They may be megabytes: the same text is parsed once."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._heads: Sequence[HoldHead] | None = ()

    async def read(self, queue: ValuePort) -> Sequence[HoldHead] | None:
        """Return them, None while they cannot be read."""
        text = await queue.read_value(core_holds.KEY)
        if text != self._text:
            try:
                self._heads = core_holds.read_heads(text)
            except ValueError:
                self._heads = None  # `reaper holds` reports the malformed value
            self._text = text
        return self._heads


def _parsed(text: str | None) -> Holds:
    try:
        return core_holds.read_holds(text)
    except ValueError as error:
        raise QueueError(str(error)) from error
