"""Reapers with an endless backlog against a server of limited capacity, in virtual time; the same seed, the same run.

The server has some workers and a queue before them; the way there and back takes its time as well. Beyond the queue's
length it refuses at once; where the queue has no bound, clients run into their timeouts, and it works for nothing on
what they gave up. A reaper claims as its worker does: for all free places at once, and while a claim takes its time,
what is answered leaves places empty.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from reaper.core.adaptive_limit import AdaptiveLimit
from reaper.core.classify import Broken, Final, ServerFault, Verdict
from reaper.core.model import Fault, Outcome

STOPPED = Final(Outcome.STOPPED)
REFUSED = ServerFault(503)
TIMEOUT = Broken(Fault.TIMEOUT)


class Loop:
    """What happens next, in the order of its instant."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self._number = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, wait_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + wait_s, next(self._number), what))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = until


@dataclass
class Server:
    """`workers` that do `per_s` requests a second together; `latency_s` of way, ± 10 %; at most `queue` requests wait.

    With one worker it is a pipe: what is in flight is mostly on its way. With many, mostly in work.
    """

    loop: Loop
    per_s: float
    latency_s: float
    queue: int | None = None
    """None: no bound; who waits too long gives up."""
    workers: int = 1
    refusal: Verdict = REFUSED
    failing: float = 0.0
    """Share of requests that fail with a 502 whatever the load is."""
    hanging: float = 0.0
    """Share of requests that are never answered."""
    _waiting: deque[Callable[[Verdict], None]] = field(default_factory=deque)
    _busy: int = 0

    def request(self, reply: Callable[[Verdict], None]) -> None:
        self.loop.after(self._half(), lambda: self._arrive(reply))

    def _half(self) -> float:
        return self.latency_s / 2 * self.loop.random.uniform(0.9, 1.1)

    def _arrive(self, reply: Callable[[Verdict], None]) -> None:
        if self.hanging and self.loop.random.random() < self.hanging:
            return
        if self._busy < self.workers:
            self._work(reply)
        elif self.queue is None or len(self._waiting) < self.queue:
            self._waiting.append(reply)
        else:
            self.loop.after(self._half(), lambda: reply(self.refusal))

    def _work(self, reply: Callable[[Verdict], None]) -> None:
        self._busy += 1
        self.loop.after(self.workers / self.per_s, lambda: self._done(reply))

    def _done(self, reply: Callable[[Verdict], None]) -> None:
        failed = self.failing > 0 and self.loop.random.random() < self.failing
        self.loop.after(self._half(), lambda: reply(ServerFault(502) if failed else STOPPED))
        self._busy -= 1
        if self._waiting:
            self._work(self._waiting.popleft())


class Control(Protocol):
    """What admits the sends of one reaper."""

    @property
    def limit(self) -> int: ...

    def start(self, now: float) -> bool: ...

    def answer(self, now: float, began: float, verdict: Verdict) -> None: ...

    def closed_until(self, now: float) -> float | None:
        """Return when a closed gate may open by time alone; None when an answer is what it waits for."""


@dataclass
class Alone:
    """The limiter and nothing else."""

    limiter: AdaptiveLimit
    in_flight: int = 0

    @property
    def limit(self) -> int:
        return self.limiter.limit

    def start(self, now: float) -> bool:
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    def answer(self, now: float, began: float, verdict: Verdict) -> None:
        self.limiter.observe(now, verdict, began=began, in_flight=self.in_flight)
        self.in_flight -= 1

    def closed_until(self, now: float) -> float | None:
        return None


@dataclass
class Reaper:
    """One reaper; its backlog never ends."""

    loop: Loop
    server: Server
    control: Control
    claim_s: float = 0.002
    timeout_s: float = 20.0
    stopped: list[float] = field(default_factory=list)
    """The instants of its final answers."""
    others: list[float] = field(default_factory=list)
    """The instants of all its other answers."""
    limits: list[tuple[float, int]] = field(default_factory=list)
    """Each change of the limit."""
    _claiming: bool = False

    def begin(self, at: float = 0.0) -> Reaper:
        self.loop.after(at, self._claim)
        return self

    def rate(self, since: float, until: float) -> float:
        """Return how many were stopped per second."""
        return sum(since <= at < until for at in self.stopped) / (until - since)

    def cuts(self, since: float, until: float) -> int:
        pairs = itertools.pairwise(self.limits)
        return sum(after < before and since <= at < until for (_, before), (at, after) in pairs)

    def first(self, limit: int) -> float:
        """Return when the limit first was that high."""
        return next(at for at, height in self.limits if height >= limit)

    def _claim(self) -> None:
        if not self._claiming:
            self._claiming = True
            self.loop.after(self.claim_s, self._fill)

    def _fill(self) -> None:
        self._claiming = False
        now = self.loop.now
        while self.control.start(now):
            self._send(now)
        self._note()
        opens = self.control.closed_until(now)
        if opens is not None:
            self.loop.after(max(opens - now, 0.001), self._claim)

    def _send(self, began: float) -> None:
        open_ = True

        def reply(verdict: Verdict) -> None:
            nonlocal open_
            if not open_:
                return
            open_ = False
            now = self.loop.now
            (self.stopped if verdict == STOPPED else self.others).append(now)
            self.control.answer(now, began, verdict)
            self._note()
            self._claim()

        self.loop.after(self.timeout_s, lambda: reply(TIMEOUT))
        self.server.request(reply)

    def _note(self) -> None:
        if not self.limits or self.limits[-1][1] != self.control.limit:
            self.limits.append((self.loop.now, self.control.limit))


def one(
    seed: int = 1, *, bound: int = 256, timeout_s: float = 20.0, claim_s: float = 0.002, **server: object
) -> Reaper:
    """Return one reaper that begins at 0, alone with its server."""
    loop = Loop(seed)
    control = Alone(AdaptiveLimit(bound))
    return Reaper(loop, Server(loop, **server), control, claim_s, timeout_s).begin()  # type: ignore[arg-type]
