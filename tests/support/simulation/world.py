"""The world of one simulation: what all its parts share, and the faults that hold now."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.support.simulation.api_model import ApiModel
from tests.support.simulation.files import Disk
from tests.support.simulation.history import History
from tests.support.simulation.loop import VirtualLoop
from tests.support.simulation.network import Network
from tests.support.simulation.plan import Fault, Plan
from tests.support.simulation.virtual_time import CLOCK, Host


class World:
    """See the head of this file."""

    def __init__(self, plan: Plan, folder: Path, loop: VirtualLoop) -> None:
        self.plan, self.loop = plan, loop
        self.history = History(str(folder))
        self.chance = Random(f"world/{plan.seed}")
        self.length_s = plan.hours * 3600
        self.injected: dict[str, int] = {}
        self._faults = list(plan.faults)
        """Those that are armed are replaced, when they begin, by what they are then."""
        self._lasting: dict[str, list[Fault]] = {}
        for fault in plan.faults:
            if fault.for_s and not fault.armed:
                self._lasting.setdefault(fault.kind, []).append(fault)
        self.api = ApiModel(Random(f"api/{plan.seed}"), self.history, self.active, self.met)
        self.network = Network(loop, self.api, Random(f"network/{plan.seed}"), self.active, plan.latency)
        self.network.faults = self.injected
        self.network.on_broken = self.breaks
        loop.connect = self.network.connect
        self.disk = Disk(folder, self.history)
        self.hosts = [Host(f"host{n}") for n in range(plan.reapers)] if plan.engine == "memory" else [Host("host0")]
        self.broken: list[str] = []
        """Invariants that did not hold."""
        self.asked: dict[str, float] = {}
        """When each ID was first asked for, be it in part."""
        self.taken: set[str] = set()
        """IDs that must be in the books: their `add` succeeded, or they stand in a file that stays."""
        self.cancelled: dict[str, float] = {}
        """When each ID was cancelled for certain, if it was not asked for again since."""
        self.sends_left: dict[str, int] = {}
        """How many sends of a cancelled ID may still begin: one, of a lease that was given before; none if that one
        had been written."""
        self.approved: set[str] = set()
        """The IDs of held sweeps that an operator approved."""
        self.cancel_asked: set[str] = set()
        self.asked_again: set[str] = set()
        """IDs that somebody tried to ask for once more."""
        self.paused_s: float | None = None
        """Since when an operator's pause holds for certain."""
        self.knows_account = False
        """The queue keeps the account: before, that of whichever token comes first is taken for the right one."""
        self.on_pause: Callable[[str, str], None] = lambda process, reason: None
        """Called when a process logs that a pause began."""
        self.on_gone: Callable[[str, str], None] = lambda process, session_id: None
        """Called when a process logs that it booked a session as already gone."""
        self.on_exhausted: Callable[[str, str], None] = lambda process, session_id: None
        """The same of a session as exhausted."""

    def active(self, kind: str) -> Fault | None:
        """Return the fault of a kind that holds now."""
        for fault in self._lasting.get(kind, ()):
            if fault.holds(CLOCK.elapsed_s) and CLOCK.elapsed_s < self.length_s:
                return fault
        return None

    def overlapping(self, kinds: Set[str], from_s: float, to_s: float) -> list[Fault]:
        """Return the faults of some kinds that hold at some moment between two."""
        return [one for one in self._faults if one.kind in kinds and one.at_s <= to_s and from_s <= one.end_s]

    def begin(self, fault: Fault) -> Fault:
        """Return a fault that was armed as it begins now."""
        begun = replace(fault, at_s=CLOCK.elapsed_s, armed=False)
        self._faults[self._faults.index(fault)] = begun
        if fault.for_s:
            self._lasting.setdefault(fault.kind, []).append(begun)
        return begun

    def met(self, kind: str) -> None:
        self.injected[kind] = self.injected.get(kind, 0) + 1

    def breaks(self, sentence: str) -> None:
        """Note an invariant that does not hold."""
        self.history.add("world", f"BROKEN: {sentence}")
        if len(self.broken) < 20:
            self.broken.append(f"{CLOCK.elapsed_s:.3f} s: {sentence}")

    @property
    def wrong_clock_s(self) -> float:
        """How far the clock is off by which the queue goes."""
        return self.hosts[0].wall_offset_s if self.plan.engine == "ledger" else 0.0

    def later(self, wait_s: float, call: Callable[..., object], *args: object) -> None:
        """Call something that is nobody's, after a wait that ends with the time of trouble at the latest."""
        wait_s = max(0.0, min(wait_s, self.length_s - CLOCK.elapsed_s))
        self.loop.call_later(wait_s, call, *args, context=contextvars.Context())
