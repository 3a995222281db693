"""The adaptive limit on sends in flight, `worker.adaptive` (docs/configuration.md). Pure.

It starts at 8, doubles per clean window until the first overload, adds 1 per clean window from then on, and shrinks to
0.7 of itself at most once per window. A window is as many answers as the limit.

Two rules keep one event from counting twice, and growth from running ahead of what was tried:

- A cut judges the sends after it. The answer to a send that began before the last cut counts for nothing: all sends in
  flight at that moment met the same overload, and the slow ones among them report it last, up to a timeout later.
- An answer counts for growth while at least half of the limit is in flight. So a trickle of single IDs never raises the
  limit to a height that was never tried: it is at most twice the sends that were in flight. A half is enough because
  claiming takes time: while the next IDs are fetched, answers come in, and fewer sends than the limit are in flight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import assert_never

from reaper.core.classify import Broken, Final, Foreign, ServerFault, Throttled, Unauthorized, Unsent, Verdict
from reaper.core.model import Fault

START = 8
"""The limit at the start (docs/configuration.md)."""
CUT_TENTHS = 7
"""The tenths of the limit that remain after an overload (docs/configuration.md)."""
USED_SHARE = 2
"""The limit counts as used while at least one part in this many of it is in flight."""


@dataclass(slots=True)
class AdaptiveLimit:
    """The state. `limit` is the most sends in flight that it allows now, from 1 to `bound`; others only read it.

    With `adaptive` off the limit is always the bound.
    """

    bound: int
    adaptive: bool = True
    limit: int = field(init=False)
    _doubling: bool = True
    """Until the first overload: growth doubles the limit."""
    _clean: int = 0
    """Answers in a row that count for growth."""
    _spared: int = 0
    """Answers still to come before the limit may be cut again."""
    _cut_at: float = -math.inf

    def __post_init__(self) -> None:
        self.limit = min(START, self.bound) if self.adaptive else self.bound

    def observe(self, now: float, verdict: Verdict, *, began: float, in_flight: int) -> None:
        """Take in one answer.

        Args:
            now: the instant of the answer, in seconds of any clock that never runs backwards.
            verdict: what the answer means.
            began: the instant at which its send began, on the same clock.
            in_flight: the sends in flight when it came, itself among them.
        """
        if not self.adaptive or began <= self._cut_at:
            return
        overloaded = is_overload(verdict)
        if overloaded is None:
            return
        spared = self._spared > 0
        self._spared -= spared
        if overloaded:
            self._clean, self._doubling = 0, False
            if not spared:
                self._cut(now)
        elif in_flight * USED_SHARE >= self.limit:
            self._clean += 1
            if self._clean >= self.limit:
                self._clean = 0
                self.limit = min(self.bound, self.limit * 2 if self._doubling else self.limit + 1)

    def reconfigure(self, bound: int, *, adaptive: bool) -> None:
        """Take over new settings. The limit stays, within the new bound; turned on, it starts anew."""
        if adaptive and self.adaptive:
            self.bound, self.limit = bound, min(self.limit, bound)
            return
        self.bound, self.adaptive = bound, adaptive
        self.limit = min(START, bound) if adaptive else bound
        self._doubling, self._clean, self._spared, self._cut_at = True, 0, 0, -math.inf

    def _cut(self, now: float) -> None:
        self.limit = max(1, self.limit * CUT_TENTHS // 10)
        self._spared = self.limit
        self._cut_at = now


def is_overload(verdict: Verdict) -> bool | None:
    """Return whether the answer shows that the API is overloaded; None when it shows neither that nor the contrary.

    Every final answer shows the contrary: a 404 costs the API as much as a stop. A reset or a refused connection may
    come from anywhere on the way, and five of them in a row open the breaker. So do a 500 and a 502: from this API they
    mean that the teardown of one session failed. If they cut the limit, 1 % of such sessions in a backlog of 50,000
    would stretch 20 s of work at 256 in flight to 20 minutes (tests/support/limiter_simulation.py).
    """
    match verdict:
        case ServerFault(status=500 | 502):
            return None
        case Throttled() | ServerFault() | Broken(fault=Fault.TIMEOUT) | Unsent(fault=Fault.TIMEOUT):
            return True
        case Final():
            return False
        case Unauthorized() | Foreign() | Broken() | Unsent():
            return None
        case _ as never:
            assert_never(never)
