"""Compares what the ledger booked as gone with the API's list, and re-opens what the list shows alive.

A gateway that lost its routes answers 404 in JSON, as the API does for a session that is gone. The list decides: a
session that it shows alive was not gone (docs/concepts.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from reaper.core.decide import RetryPolicy
from reaper.core.discovery import ghosts as core_ghosts
from reaper.core.model import REAPER, Item, Outcome, SessionId
from reaper.core.text import pluralize
from reaper.worker.ports import GoneJournal, Ledger

KEY = "gone_compared_at"
"""The key under which the queue keeps up to when `already_gone` was compared, Unix seconds."""
SAVE_S = 5.0
"""How often it is kept at most. A process that starts compares so much once more, which changes nothing."""
OLD_S = 600.0
"""It is kept anew when it is older than this, also if nothing was booked: a process that starts asks the ledger for all
that was settled since. Of 200,000 stopped sessions that took 0.9 s before the first DELETE."""
ASKED_S = 10.0
"""Of so much time the ledger is asked whether anything was booked as gone. It looks at each row that was settled in it:
45 ms for the most that a reaper settles, and a list of 10,000 sessions costs 200."""
SKEW_S = 0.05
"""How far our reading of the queue's clock may be ahead of the clock itself."""
BY, REASON = REAPER, "a DELETE said that it was gone, and the API's list shows it alive"
"""The person and the reason of the new round, as `show` has them."""
UNPROVEN_REASON = "a DELETE said that it was gone, and the API's list could not be read to confirm it"
GONE = frozenset({Outcome.ALREADY_GONE})
AMBIGUOUS = "after_ambiguous"
ALIVE_TO_PAUSE = 3
"""So many sessions called gone and listed alive show that it is not the API that answers (docs/concepts.md)."""


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The sessions that a DELETE called gone and the list shows alive, and whether there is nothing else to go by."""

    alive: Sequence[SessionId] = ()
    are_all: bool = False

    @property
    def detail(self) -> str | None:
        """The detail of the pause that this asks for; None where it asks for none. It names no ID: pages show it."""
        count = len(self.alive)
        if not count or (count < ALIVE_TO_PAUSE and not self.are_all):
            return None
        sessions = pluralize(count, "session is", "sessions are")
        return f"{sessions} alive on the API's list though a DELETE was answered 404 or 410"


@dataclass(slots=True)
class Comparison:
    """The comparisons of one process. `clock` is the queue's, `now` monotonic. Raises QueueError as the queue does."""

    ledger: Ledger
    journal: GoneJournal
    clock: Callable[[], float]
    now: Callable[[], float]
    jitter: Callable[[], float]
    due_again_at: float = -math.inf
    """When all that was re-opened is due, by `now`."""
    _since: float | None = None
    """When the last read that was compared began, by `now`."""
    _since_at: float = -math.inf
    """The same by the queue's clock as it was then."""
    _is_saved: bool = True
    """Whether the queue knows of every comparison that found something."""
    _stored: str | None = None
    _stored_at: float = -math.inf

    async def needs_list(self, began: float) -> bool:
        """Return whether a list could change anything: something was booked as gone, or a ghost is known.

        A run that begins is spared the reading of its list, which may be long, and a question for each session on it.
        Where much may have been settled since the last comparison, looking through that would cost more.
        """
        since = await self._compared_until(began) - SKEW_S
        if self.clock() - since > ASKED_S:
            return True
        async with aclosing(self.ledger.outcomes(since=since, only=GONE)) as items:  # type: ignore[type-var]
            async for _ in items:
                return True
        return await self.ledger.read_value(core_ghosts.KEY) is not None

    async def compare(self, alive: frozenset[str], began: float, retry: RetryPolicy, *, owed: bool) -> Contradicted:
        """Re-open each session that was booked as gone before the instant `began` and is among `alive`.

        Not those that a DELETE without an answer may have stopped: the list may lag. And each once only: a session
        that is called gone again and still listed is a ghost. `owed`: this process booked something.
        """
        since = await self._compared_until(began) - SKEW_S
        until = self.clock() - (self.now() - began)
        ids: list[SessionId] = []
        ghosts: list[SessionId] = []
        outcomes = await self.ledger.outcomes_of([SessionId(each) for each in alive]) if alive else {}
        for session_id in sorted(each for each, outcome in outcomes.items() if outcome is Outcome.ALREADY_GONE):
            item = await self.ledger.show(session_id)
            if item is None or item.outcome is not Outcome.ALREADY_GONE or not self._is_comparable(item, since, until):
                continue
            (ghosts if (item.by, item.reason) == (BY, REASON) else ids).append(session_id)
        others = bool(ids) and len(ids) < ALIVE_TO_PAUSE and await self._has_others(since, until, alive)
        if ids:
            await self._reopen(ids, REASON, REASON, retry.backoff_s(1, self.jitter()))
        await self._note_ghosts(ghosts, alive)
        self._since, self._since_at = began, until
        self._is_saved = self._is_saved and not owed and until - since <= OLD_S
        if self._stored is None or (not self._is_saved and self.now() - self._stored_at >= SAVE_S):
            await self.save()
        return Contradicted(ids, are_all=not others)

    async def reopen_unproven(self) -> None:
        """Re-open what was booked as gone since the last read that was compared.

        For a read that somebody else than the API answered, as perhaps the DELETEs; and for an end without a read.
        """
        now = self.now()
        since, until = await self._compared_until(now) - SKEW_S, self.clock()
        async with aclosing(self.ledger.outcomes(since=since, only=GONE)) as items:  # type: ignore[type-var]
            found = [item async for item in items if self._is_comparable(item, since, until)]
        listed = [item.session_id for item in found if (item.by, item.reason) == (BY, REASON)]
        others = [item.session_id for item in found if (item.by, item.reason) != (BY, REASON)]
        for ids, kept in ((others, UNPROVEN_REASON), (listed, REASON)):  # which is a ghost the next time
            if ids:
                await self._reopen(ids, kept, UNPROVEN_REASON)

    async def _reopen(self, ids: Sequence[SessionId], kept: str, told: str, after_s: float = 0.0) -> None:
        """Begin a new round of these: `kept` is its reason in the queue, `told` in the log.

        One whose cancellation was requested meanwhile ends with that, and is none of those that are sent again.
        """
        await self.ledger.reopen(ids, reason=kept, by=BY, only=GONE, after_s=after_s)
        outcomes = await self.ledger.outcomes_of(ids)
        again = [session_id for session_id in ids if outcomes.get(session_id) is not Outcome.CANCELLED]
        if again:
            self.due_again_at = self.now() + after_s
            self.journal.reopened(again, told)

    async def _compared_until(self, began: float) -> float:
        """Return from when on there is something to compare, by the queue's clock; the first time from the queue."""
        if self._since is not None:
            return self._since_by_clock(self._since)
        self._stored = await self.ledger.read_value(KEY)
        latest = self.clock() - (self.now() - began)
        kept = _compared_at(self._stored, self.clock())
        return latest if kept is None else min(kept, latest)

    def _since_by_clock(self, since: float) -> float:
        """Return the instant `since` by the queue's clock, or what that clock said then, whichever is earlier.

        Rows keep the time by the clock that was there when they were booked: one that was set forward since would put
        them before the read, and nothing would ever compare them.
        """
        return min(self.clock() - (self.now() - since), self._since_at)

    def _is_comparable(self, item: Item, since: float, until: float) -> bool:
        """Return whether an item was booked as gone in this time, by an answer that the list can confirm."""
        at = item.settled_at or 0.0
        ahead = at > self.clock()  # from before the clock was set back
        return (since <= at <= until or ahead) and item.detail != AMBIGUOUS

    async def _has_others(self, since: float, until: float, alive: frozenset[str]) -> bool:
        """Return whether something was compared that the list does not show alive."""
        async with aclosing(self.ledger.outcomes(since=since, only=GONE)) as items:  # type: ignore[type-var]
            async for item in items:
                if item.session_id not in alive and self._is_comparable(item, since, until):
                    return True
        return False

    async def _note_ghosts(self, again: Sequence[SessionId], alive: frozenset[str]) -> None:
        text = await self.ledger.read_value(core_ghosts.KEY)
        if not again and text is None:
            return
        ghosts, new = core_ghosts.add_ghosts(core_ghosts.read_ghosts(text), again, alive, self.clock())
        if ghosts.to_text() != text and await self.ledger.compare_and_set(core_ghosts.KEY, ghosts.to_text(), was=text):
            for session_id in new:
                self.journal.ghost(session_id, Outcome.ALREADY_GONE)

    async def save(self) -> None:
        """Keep in the queue up to when all is compared, for the process that comes next."""
        if self._since is None or (self._is_saved and self._stored is not None):
            return
        text = repr(round(self._since_by_clock(self._since), 3))
        if not await self.ledger.compare_and_set(KEY, text, was=self._stored):
            text = await self.ledger.read_value(KEY) or text  # another reaper was quicker
        self._stored, self._stored_at, self._is_saved = text, self.now(), True


async def has_unproven(ledger: Ledger, before: float = math.inf, *, after: float = -math.inf) -> bool:
    """Return whether something was booked as gone after the last comparison, and between two instants (Unix seconds).

    Then its process ended before it could compare.
    """
    kept = _compared_at(await ledger.read_value(KEY), ledger.now())
    if kept is None:
        return False
    gone = ledger.outcomes(since=max(kept, after), only=GONE)
    async with aclosing(gone) as items:  # type: ignore[type-var]
        async for item in items:
            if (item.settled_at or 0.0) > before:
                return False
            if item.detail != AMBIGUOUS:
                return True
    return False


def _compared_at(text: str | None, now: float) -> float | None:
    """Return up to when all is compared, by the text under `KEY`; None where it names no time.

    A time ahead of the clock was kept before that was set back, and what was booked since lies before it. Then the last
    minutes are compared again, so many that the time is kept anew.
    """
    try:
        at = float(text or "nan")
    except ValueError:
        return None
    if math.isnan(at):
        return None
    return at if at <= now + SKEW_S else now - 2 * OLD_S
