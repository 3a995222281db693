"""The result of one plan; the sum of many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import combinations

from tests.support.simulation.plan import KINDS


@dataclass(slots=True)
class Result:
    """What came of one plan. Hours are virtual; `hours` those of the world, `reaper_hours` summed over its reapers."""

    seed: int
    broken: list[str]
    digest: str = ""
    hours: float = 0.0
    reaper_hours: float = 0.0
    sessions: int = 0
    deletes: int = 0
    injected: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    took_s: float = 0.0
    story: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Result:
        return Result(**json.loads(text))


@dataclass(slots=True)
class Total:
    """The sum of many results."""

    seeds: int = 0
    hours: float = 0.0
    reaper_hours: float = 0.0
    sessions: int = 0
    deletes: int = 0
    took_s: float = 0.0
    broken: list[int] = field(default_factory=list)
    """The seeds in which an invariant did not hold."""
    injected: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """In how many seeds both faults of a pair happened."""

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.hours += result.hours
        self.reaper_hours += result.reaper_hours
        self.sessions += result.sessions
        self.deletes += result.deletes
        self.took_s += result.took_s
        self.injected.update(result.injected)
        self.outcomes.update(result.outcomes)
        self.exits.update(result.exits)
        self.pairs.update(combinations(sorted(result.injected), 2))
        if result.broken:
            self.broken.append(result.seed)

    def lines(self) -> Iterable[str]:
        """Return the report, for a person."""
        possible = len(KINDS) * (len(KINDS) - 1) // 2
        yield f"seeds            {self.seeds:,}"
        yield f"reaper hours     {self.reaper_hours:,.0f} (hours of worlds: {self.hours:,.0f})"
        yield f"sessions         {self.sessions:,}"
        yield f"DELETEs answered {self.deletes:,}"
        yield f"CPU              {self.took_s:,.0f} s"
        yield f"pairs of faults  {len(self.pairs):,} of {possible:,} met in one seed at least"
        missing = sorted(set(combinations(sorted(KINDS), 2)) - self.pairs.keys())
        if missing and len(missing) <= 40:
            yield "  never met: " + ", ".join(" + ".join(pair) for pair in missing)
        yield "faults injected"
        for kind in KINDS:
            yield f"  {kind:<22}{self.injected[kind]:>10,}"
        yield "outcomes         " + ", ".join(f"{name} {n:,}" for name, n in self.outcomes.most_common())
        yield "ends of reapers  " + ", ".join(f"{name} {n:,}" for name, n in self.exits.most_common())
        yield f"broken           {len(self.broken)}" + (f": seeds {self.broken[:20]}" if self.broken else "")
