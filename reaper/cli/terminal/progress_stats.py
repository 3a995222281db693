"""The figures of a long command, for its display and its log lines. Knows no terminal and no queue."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace

from reaper.core.model import Outcome, Pause, Send
from reaper.core.notices import Notice, notices
from reaper.queues.values import Added, SetView

RATE_WINDOW_S = 10.0
"""A rate is measured over so many seconds: long enough to be steady, short enough to follow a pause."""
MIN_RATE_WINDOW_S = 1.0
"""A rate over less than this is chance."""
PACE_WINDOW_S = 30.0
"""An estimate goes by the pace of so many seconds, as rich's does: a rate of fewer makes it jump."""
ROUNDS = 2
"""An estimate waits for so many times as many answers as there are sends in flight: they come in bursts."""
SAME_LIMIT = 4 / 3
"""A limit that has changed by more than this factor makes another pace: what was measured before it is forgotten."""


@dataclass(slots=True)
class RateMeter:
    """Measures a rate over the last `window_s` seconds from a count that grows. The clock must run steadily."""

    window_s: float = RATE_WINDOW_S
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, count: int) -> None:
        """Record the count at an instant."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self.window_s:
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """The rate, None while it is not known."""
        if self.over_s < MIN_RATE_WINDOW_S:
            return None
        return (self._seen[-1][1] - self._seen[0][1]) / self.over_s

    @property
    def over_s(self) -> float:
        """The seconds over which the rate is measured now."""
        return self._seen[-1][0] - self._seen[0][0] if self._seen else 0.0

    @property
    def rise(self) -> int:
        """How much the count has grown in them."""
        return self._seen[-1][1] - self._seen[0][1] if self._seen else 0

    def clear(self) -> None:
        """Forget what was noted."""
        self._seen.clear()


@dataclass(slots=True)
class Pace:
    """Measures the rate that an estimate of the time left may go by, once there is one.

    The seconds in which a run begins say nothing of the rest: first the API is read, then the limit doubles with each
    round of answers. Of 400 sessions at 1 s per answer, the rate since the start made it 20 minutes for what took 18 s.
    """

    _meter: RateMeter = field(default_factory=lambda: RateMeter(PACE_WINDOW_S))
    _limit: int = 0
    _most_in_flight: int = 0

    def note(self, now: float, count: int, *, limit: int, in_flight: int, held: bool) -> None:
        """Record the count at an instant; `held`: something keeps the run from sending."""
        if held or not self._limit / SAME_LIMIT <= limit <= self._limit * SAME_LIMIT:
            self._meter.clear()
            self._limit, self._most_in_flight = limit, 0
        if not held:
            self._meter.note(now, count)
            self._most_in_flight = max(self._most_in_flight, in_flight)

    @property
    def per_s(self) -> float | None:
        """The rate, None while it is not known."""
        if not self._meter.rise or self._meter.rise < ROUNDS * self._most_in_flight:
            return None
        return self._meter.per_s


@dataclass(slots=True)
class LiveCounts:
    """Estimates a run set's counts between two queries: adds what this process settled since the last one.

    A query counts a whole set, which takes a second for a million IDs; this costs nothing. What others
    settled, and what was settled during the last query, shows after the next one. It is the worker's meter.
    """

    _view: SetView = field(default_factory=lambda: SetView(0, 0, 0, 0))
    _since: Counter[Outcome] = field(default_factory=Counter)

    def settled(self, outcome: Outcome, at: float) -> None:
        """Count an ID that this process settled."""
        self._since[outcome] += 1

    def sent(self, send: Send) -> None:
        """Do nothing: the worker counts its sends."""

    def refresh(self, view: SetView) -> None:
        """Start again from the counts of a query."""
        self._view = view
        self._since.clear()

    @property
    def view(self) -> SetView:
        """The estimate; never more settled than were open."""
        more = Counter({outcome: count for outcome, count in self._since.items() if count})
        left = self._view.to_do
        settled = {**self._view.settled}
        for outcome, count in more.items():
            taken = min(count, left)
            settled[outcome] = settled.get(outcome, 0) + taken
            left -= taken
        retrying = min(self._view.retrying, left)
        return replace(self._view, ready=left - retrying, retrying=retrying, in_flight=0, settled=settled)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """The figures of one run over one set. `now` is on the clock of the pauses."""

    view: SetView
    in_flight: int
    limit: int
    sends: int
    now: float
    rate_per_s: float | None = None
    pace_per_s: float | None = None
    """The rate that the rest may be estimated by."""
    earlier: int = 0
    """How many of the settled ones were settled before this run."""
    pauses: tuple[Pause, ...] = ()
    proven: bool = True
    """Whether the API has answered the identity read; nothing is sent before that."""
    unavailable: str | None = None
    """Why the queue cannot be used now."""
    ends_in_s: float | None = None
    """In how long a pause or the queue's outage ends the run."""
    stopping: bool = False
    drain_left_s: float | None = None
    """In how long what is in flight is released, while the run ends."""

    @property
    def done(self) -> int:
        return sum(self.view.settled.values())

    @property
    def total(self) -> int:
        """The IDs of the set, all but the scheduled ones: what this run settles, and what was settled before it."""
        return self.done + self.view.to_do

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 1.0

    @property
    def left_s(self) -> float | None:
        """How long the rest takes at the present pace; while the run ends, how long that lasts at most.

        None while it is not known: also when all that is left waits for its next send, which no rate foretells.
        """
        if self.stopping:
            return self.drain_left_s
        if not self.pace_per_s or self.pauses or self.unavailable or self.view.to_do <= self.view.retrying:
            return None
        return (self.total - self.done) / self.pace_per_s

    @property
    def notices(self) -> list[Notice]:
        """What holds this run up, and what to do about it."""
        return notices(self.now, self.pauses, unavailable=self.unavailable)

    def fields(self) -> dict[str, object]:
        """Return the figures as fields of a log event."""
        fields: dict[str, object] = {
            "done": self.done,
            "total": self.total,
            "rate_per_s": None if self.rate_per_s is None else round(self.rate_per_s, 2),
            "left_s": None if self.left_s is None else round(self.left_s, 1),
            "in_flight": self.in_flight,
            "limit": self.limit,
            "scheduled": self.view.scheduled,
            "retrying": self.view.retrying,
            "delayed": self.view.delayed,
            "sends": self.sends,
        }
        fields |= {outcome.value: count for outcome, count in self.view.settled.items() if count}
        if self.pauses:
            fields["paused"] = [pause.reason.value for pause in self.pauses]
        return fields | ({"queue_away": self.unavailable} if self.unavailable else {})


@dataclass(frozen=True, slots=True)
class IntakeFigures:
    """The figures of one intake. `share`: of the inputs' bytes, None where the size is not known, as of a pipe."""

    source: str
    added: Added
    share: float | None = None
    rate_per_s: float | None = None

    @property
    def lines(self) -> int:
        return self.added.accepted + self.added.duplicate + self.added.invalid

    @property
    def left_s(self) -> float | None:
        if not self.share or not self.rate_per_s:
            return None
        return self.lines * (1 / self.share - 1) / self.rate_per_s

    def fields(self) -> dict[str, object]:
        """Return the figures as fields of a log event."""
        return {
            "source": self.source,
            "accepted": self.added.accepted,
            "duplicate": self.added.duplicate,
            "invalid": self.added.invalid,
            "share": None if self.share is None else round(self.share, 4),
            "rate_per_s": None if self.rate_per_s is None else round(self.rate_per_s, 1),
        }
