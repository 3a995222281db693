"""Queue chosen sessions, and change the holds on sweeps that wait for an operator (docs/discovery.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from reaper.core.discovery import ghosts as core_ghosts
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import Guard, Hold, Holds
from reaper.core.discovery.policy import Rule
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
    outcomes = await queue.outcomes_of(list(sessions))
    groups: dict[tuple[Rule, bool], list[NewItem]] = {}
    for session_id, rule in sessions.items():
        groups.setdefault((rule, outcomes.get(session_id) in REOPENED), []).append(NewItem(session_id))
    for (rule, again), items in groups.items():
        batch = Batch(f"{SOURCE}:{rule.value}", items)
        total = add_up(total, await queue.add(batch, again=again, by=by, into=into))
    return total


async def open_holds_and_ghosts(queue: ValuePort) -> dict[str, int]:
    """Return the number of open holds and of ghosts."""
    try:
        holds = core_holds.open_holds(core_holds.read_holds(await queue.read_value(core_holds.KEY)), queue.now())
    except ValueError:
        holds = ()  # `reaper holds` reports the malformed value
    ghosts = core_ghosts.read_ghosts(await queue.read_value(core_ghosts.KEY))
    return {"holds": len(holds), "ghosts": len(ghosts.proven)}


async def reset_baseline(queue: ValuePort, hold: Hold) -> None:
    """Forget the last list if this hold, now decided, was for a shrunken list: the next list starts a new baseline."""
    if Guard.LIST_SHRINK in hold.guards:
        await queue.compare_and_set(LISTED, None, was=await queue.read_value(LISTED))


async def change_holds(queue: ValuePort, change: Callable[[Holds], Holds]) -> tuple[Holds, bool]:
    """Apply `change` to the holds of the queue; return them, and whether it changed anything. Retries after a race."""
    while True:
        text = await queue.read_value(core_holds.KEY)
        holds = core_holds.expire(core_holds.read_holds(text), queue.now())
        changed = change(holds)
        if changed == core_holds.read_holds(text):
            return changed, False
        if await queue.compare_and_set(core_holds.KEY, core_holds.to_text(changed), was=text):
            return changed, changed != holds
