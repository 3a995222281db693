"""How a mutant ends, and which tests are to try it: those that run its line, the quickest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.proof.at_import import names_used
from tools.proof.mutants import Mutant

KILLED, TIMEOUT, SURVIVED, NOT_RUN = "killed", "timeout", "SURVIVED", "NOT RUN"
ELSEWHERE = "elsewhere"
"""It can't be put into a running process."""
NO_MUTANT = "no mutant"
"""It does not compile."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a mutant ended: `by` is the test that failed or hung."""

    mutant: Mutant
    end: str
    by: str
    tests: list[str]


@dataclass(slots=True)
class Table:
    """Which tests run a line of a file, and how long each test takes."""

    lines: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @staticmethod
    def of(measured: Mapping[str, Mapping[str, Any]]) -> Table:
        """Put together what was measured of each test."""
        table = Table()
        for name, ran in measured.items():
            if ran["failed"]:
                table.failed.append(name)
                continue
            table.names.append(name)
            table.times[name] = ran["s"]
            for path, lines in ran["lines"].items():
                for line in lines:
                    table.lines.setdefault(path, {}).setdefault(line, []).append(len(table.names) - 1)
        return table

    def tests_of(self, one: Mutant, most_s: float, slow_s: float, root: Path, begin: Sequence[str]) -> list[str]:
        """Return the tests whose names begin so and that run a mutant's line, the fastest first."""
        if one.scope:
            found = self._running({one.path: [one.line]}) or self._running({one.path: one.lines})
        else:
            found = self._running(names_used(root, self.lines, one)) or self._running({one.path: range(100_000)})
            naming = names_used(root, {name.partition("::")[0] for name in self.names}, one)
            found |= {name for name in self.names if naming.get(name.partition("::")[0])}
        kept: list[str] = []
        total_s = 0.0
        for test in sorted(found, key=lambda name: (self.times[name], name)):
            if test.startswith(tuple(begin)):
                total_s += self.times[test]
                if not kept or (self.times[test] <= slow_s and total_s <= most_s):
                    kept.append(test)
        return kept

    def _running(self, places: dict[str, Iterable[int]]) -> set[str]:
        found: set[int] = set()
        for path, lines in places.items():
            known = self.lines.get(path, {})
            wanted = known.keys() if isinstance(lines, range) and len(lines) > 10_000 else known.keys() & set(lines)
            for line in wanted:
                found.update(known[line])
        return {self.names[number] for number in found}
