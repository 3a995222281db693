"""The oracle's rules of what reaper may believe: each broken rule is seen, and what is right is not."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import ClassVar

import pytest

from tests.support.simulation.api_model import ApiModel, Told
from tests.support.simulation.belief import Belief
from tests.support.simulation.history import History
from tests.support.simulation.plan import Fault, plan_of


def test_the_oracle_sees_that_more_is_believed_than_the_allowance() -> None:
    class World:
        plan = replace(plan_of(1, 0.2, []), concurrency=4, discovers=False)
        api = ApiModel(Random(1), History(), lambda kind: None, lambda kind: None)
        broken: ClassVar[list[str]] = []

        def breaks(self, sentence: str) -> None:
            self.broken.append(sentence)

        def overlapping(self, *_: object) -> list[Fault]:
            return []

    def book(first: int, count: int) -> int:
        for n in range(first, first + count):
            World.api.note(Told(float(n), f"env_{n}", "reaper0.0", 404, False, "gateway_404", "own"))
            belief.gone("reaper0.0", f"env_{n}")
        return len(World.broken)

    belief = Belief(World())  # type: ignore[arg-type]
    assert book(0, 9) == 0  # the allowance, and what was on its way during a proof
    assert book(9, 1) == 1
    World.api.lists_read["reaper0.0"] = World.api.proofs["reaper0.0"] = [15.0]
    assert book(16, 24) == 1  # it has grown
    assert book(40, 1) == 2
    World.api.lists_failed["reaper0.0"] = [50.0]
    assert book(51, 9) == 2  # it is the first one again
    assert book(60, 1) == 3
    World.api.lists_read["reaper0.0"].append(100.0)
    assert book(61, 30) == 3  # a list was read after their answers


@pytest.mark.parametrize(
    ("read_s", "other_s", "is_broken"),
    [(None, None, True), (99.0, 60.0, True), (101.0, None, False), (None, 101.0, False)],
)
def test_the_oracle_sees_an_id_that_is_exhausted_though_the_api_may_be_down(
    read_s: float | None, other_s: float | None, is_broken: bool
) -> None:
    class World:
        network = SimpleNamespace(
            sent=[(20.0, "reaper0.0", "env_1"), (99.5, "reaper0.0", "env_2")], checked=[(100.0, "reaper0.0", "env_1")]
        )
        api = ApiModel(Random(1), History(), lambda kind: None, lambda kind: None)
        broken: ClassVar[list[str]] = []

        def breaks(self, sentence: str) -> None:
            self.broken.append(sentence)

    if other_s is not None:
        World.api.note(Told(other_s, "env_2", "reaper0.0", 204, True, "", "own"))
    World.api.lists_read["reaper0.0"] = [] if read_s is None else [read_s]
    Belief(World()).exhausted("reaper0.0", "env_1")  # type: ignore[arg-type]
    assert bool(World.broken) is is_broken
