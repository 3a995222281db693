"""How a long command stands, in numbers: what a display draws and a log line tells. Knows no terminal and no queue."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace

from reaper.core.model import Outcome, Pause, Send
from reaper.queues.values import Added, SetView

RATE_OVER_S = 10.0
"""The rate is that of the last so many seconds: long enough to be calm, short enough to follow a pause."""
RATE_FROM_S = 1.0
"""A rate over less than this is chance."""


@dataclass(slots=True)
class RateMeter:
    """A rate over the last `most_s` seconds, from a figure that grows. Instants are on any clock that runs steadily."""

    most_s: float = RATE_OVER_S
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, count: int) -> None:
        """Note how far it is."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self.most_s:
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """The rate, None while it cannot be told."""
        if self.over_s < RATE_FROM_S:
            return None
        return (self._seen[-1][1] - self._seen[0][1]) / self.over_s

    @property
    def over_s(self) -> float:
        """How many seconds it is the rate of."""
        return self._seen[-1][0] - self._seen[0][0] if self._seen else 0.0


@dataclass(slots=True)
class LiveCounts:
    """A set's figures between two looks at the queue: what this process settled since the last one is added.

    A look counts a whole set, which takes a second for a million IDs; this costs nothing. What others settled shows
    with the next look, and so does what was settled while the last one was under way.
    """

    _view: SetView = field(default_factory=lambda: SetView(0, 0, 0, 0))
    _since: Counter[Outcome] = field(default_factory=Counter)

    def settled(self, outcome: Outcome, at: float) -> None:
        """Count one that this process settled."""
        self._since[outcome] += 1

    def sent(self, send: Send) -> None:
        """Sends are counted by the worker."""

    def looked(self, view: SetView) -> None:
        """Take what a look found."""
        self._view = view
        self._since.clear()

    @property
    def view(self) -> SetView:
        """The set as far as it is known; never more settled than there are."""
        more = Counter({outcome: count for outcome, count in self._since.items() if count})
        left = self._view.open - self._view.delayed
        settled = {**self._view.settled}
        for outcome, count in more.items():
            taken = min(count, left)
            settled[outcome] = settled.get(outcome, 0) + taken
            left -= taken
        retrying = min(self._view.retrying, left)
        return replace(self._view, ready=left - retrying, retrying=retrying, in_flight=0, settled=settled)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run over one set. `now` is on the clock of the pauses."""

    view: SetView
    in_flight: int
    limit: int
    sends: int
    now: float
    rate_per_s: float | None = None
    pauses: tuple[Pause, ...] = ()
    proven: bool = True
    """Whether the API has shown itself; before that nothing is sent."""
    away: str | None = None
    """Why the queue cannot be used now."""
    ends_in_s: float | None = None
    """When a pause, or the queue's absence, ends the run."""
    stopping: bool = False

    @property
    def done(self) -> int:
        return sum(self.view.settled.values())

    @property
    def total(self) -> int:
        """What is to be done in this run; delayed ones are not."""
        return self.done + self.view.open - self.view.delayed

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 1.0

    @property
    def left_s(self) -> float | None:
        """How long the rest takes at the present rate; None while nobody knows."""
        if not self.rate_per_s or self.pauses or self.away:
            return None
        return (self.total - self.done) / self.rate_per_s

    def fields(self) -> dict[str, object]:
        """Return them as fields of a log event."""
        told: dict[str, object] = {
            "done": self.done,
            "total": self.total,
            "rate_per_s": None if self.rate_per_s is None else round(self.rate_per_s, 2),
            "left_s": None if self.left_s is None else round(self.left_s, 1),
            "in_flight": self.in_flight,
            "limit": self.limit,
            "retrying": self.view.retrying,
            "delayed": self.view.delayed,
            "sends": self.sends,
        }
        told |= {outcome.value: count for outcome, count in self.view.settled.items() if count}
        if self.pauses:
            told["paused"] = [pause.reason.value for pause in self.pauses]
        return told | ({"queue_away": self.away} if self.away else {})


@dataclass(frozen=True, slots=True)
class IntakeFigures:
    """One reading of inputs. `share` of their bytes is None where the size is not known, as of a pipe."""

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
        """Return them as fields of a log event."""
        return {
            "source": self.source,
            "accepted": self.added.accepted,
            "duplicate": self.added.duplicate,
            "invalid": self.added.invalid,
            "share": None if self.share is None else round(self.share, 4),
            "rate_per_s": None if self.rate_per_s is None else round(self.rate_per_s, 1),
        }
