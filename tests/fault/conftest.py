"""The world of the fault tests: an engine, a stand-in API, and how much of it all (FAULT_PROFILE=short|long)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.fault.engines import Engine, Postgres, Redis
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is done; `seed` makes a run repeatable as far as processes allow."""

    ids: int
    engine_kills: int
    kills: int
    """SIGKILLs at random moments."""
    every: int
    """Of the system calls that write, each so manieth is a crash point."""
    signals: int
    """SIGTERMs at random moments."""
    cuts: int
    """Power cuts."""
    requests: int
    """Requests while 30 % of them fail."""
    lines: int
    """Hostile input lines."""
    flips: int
    """Ledgers with bits flipped."""
    seed: int = 1


PROFILES = {
    "short": Profile(800, 1, kills=70, every=20, signals=14, cuts=100, requests=2_000, lines=20_000, flips=12),
    "long": Profile(
        20_000, 100, kills=2_200, every=1, signals=300, cuts=2_000, requests=200_000, lines=1_000_000, flips=1_000
    ),
}


@pytest.fixture
def profile() -> Profile:
    found = PROFILES[os.environ.get("FAULT_PROFILE", "short")]
    return replace(found, seed=int(os.environ.get("FAULT_SEED", found.seed)))


@pytest.fixture
def chance(profile: Profile) -> random.Random:
    return random.Random(profile.seed)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    made = Warm()
    yield made
    made.close()


@pytest.fixture(params=["postgres", "redis"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    directory = tmp_path / "engine"
    directory.mkdir()
    made: Engine = Postgres() if request.param == "postgres" else Redis(directory)
    yield made
    made.close()
