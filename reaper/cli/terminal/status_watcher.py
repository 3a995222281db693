"""Reads what `reaper status --watch` shows: one overview after the other, with a rate and a sample of items."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio
from anyio import to_thread

from reaper.cli.terminal.progress_stats import RateMeter
from reaper.core.errors import QueueUnavailableError
from reaper.core.input_facts import NO_FAULT, InputFacts
from reaper.core.model import Item
from reaper.core.notices import Notice, notices
from reaper.core.text import sanitize
from reaper.queues.base import Queue
from reaper.queues.overview import Overview, read_overview

WATCH_S = 2.0
WATCH_SHARE = 20
"""After a refresh, so many times its duration pass before the next: with millions of rows, it takes 5 % of the time."""
RECENT_S = 120.0
MAX_SAMPLE = 300
"""Items read at each refresh for the sample: so many that wait for another try, so many settled since the last one."""
MAX_NAMED = 3


@dataclass(slots=True)
class StatusWatcher:
    """Overviews one after the other, with the rate between them and the items that stand out.

    A queue cannot name its slowest or most often sent items without reading every row. A sample stands for them: the
    items that wait longest for another try, and the first items settled since the last refresh.
    """

    queue_url: str
    """Where the queue is, fit to be shown."""
    read_inputs: Callable[[], InputFacts] = lambda: NO_FAULT
    """Reads the inputs. Blocks."""
    inputs: InputFacts = NO_FAULT
    rate: RateMeter = field(default_factory=lambda: RateMeter(RECENT_S))
    snapshot: Overview | None = None
    """The last one that could be read."""
    unavailable: str | None = None
    """Why the last refresh failed; None when it did not."""
    retried: list[Item] = field(default_factory=list)
    """Waiting for another try, the most often sent first."""
    recent: list[Item] = field(default_factory=list)
    """Settled in the last `RECENT_S`: those with the slowest and with the most sends."""
    _since: float | None = None

    async def refresh(self, queue: Queue) -> None:
        """Read the queue again. While it is unavailable the last snapshot stays, and `unavailable` says why."""
        self.inputs = await to_thread.run_sync(self.read_inputs, abandon_on_cancel=True)
        try:
            self.snapshot = snapshot = await read_overview(queue)
            self.retried = sorted(await queue.retrying(MAX_SAMPLE), key=lambda item: -item.sends)[:MAX_NAMED]
            await self._refresh_recent(queue, snapshot.now)
        except QueueUnavailableError as error:
            self.unavailable = str(error)
            return
        self.unavailable = None
        self.rate.note(snapshot.now, sum(snapshot.stats.settled.values()))

    async def keep_fresh(self, queue: Queue, show: Callable[[], object] = lambda: None) -> None:
        """Read the queue again and again, and call `show` each time, until cancelled."""
        while True:
            began = anyio.current_time()
            await self.refresh(queue)
            show()
            await anyio.sleep(max(WATCH_S, WATCH_SHARE * (anyio.current_time() - began)))

    async def _refresh_recent(self, queue: Queue, now: float) -> None:
        since, self._since = self._since or now - RECENT_S, now
        seen: list[Item] = []
        async with aclosing(queue.outcomes(since=since)) as items:  # type: ignore[type-var]
            async for item in items:
                seen.append(item)
                if len(seen) == MAX_SAMPLE:
                    break
        self.recent = [item for item in [*self.recent, *seen] if (item.settled_at or 0) > now - RECENT_S]
        self.recent = list({item.session_id: item for item in [*self.slow, *self.often]}.values())

    @property
    def notices(self) -> list[Notice]:
        """What an operator should know, beginning with a queue that is unavailable now."""
        found = [*notices(0.0, unavailable=self.unavailable), *(self.snapshot.notices if self.snapshot else ())]
        return self.inputs.notices_with(found)

    @property
    def slow(self) -> list[Item]:
        """Those settled recently that had the slowest sends."""
        return sorted(filter(slowest_s, self.recent), key=lambda item: -slowest_s(item))[:MAX_NAMED]

    @property
    def often(self) -> list[Item]:
        """Those settled recently that took the most sends, where it took more than one."""
        return sorted((item for item in self.recent if item.sends > 1), key=lambda item: -item.sends)[:MAX_NAMED]


def describe_target(overview: Overview) -> str:
    """Return the API and the account that the queue belongs to."""
    target = sanitize(overview.target) if overview.target else "none yet, until a first answer of the API"
    return f"{target}, account {overview.account}" if overview.account else target


def slowest_s(item: Item) -> float:
    """Return how long the slowest of an item's kept sends took, 0 without any."""
    return max((send.duration_s for send in item.history), default=0.0)
