"""The world of the fault tests: an engine, a stand-in API, and how much of it all (FAULT_PROFILE=short|long)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.fault.engines import Engine, Postgres, Redis


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is done; `seed` makes a run repeatable as far as processes allow."""

    ids: int
    engine_kills: int
    seed: int


PROFILES = {"short": Profile(2_000, 2, 1), "long": Profile(20_000, 10, 1)}


@pytest.fixture
def profile() -> Profile:
    found = PROFILES[os.environ.get("FAULT_PROFILE", "short")]
    seed = int(os.environ.get("FAULT_SEED", found.seed))
    return Profile(found.ids, found.engine_kills, seed)


@pytest.fixture
def chance(profile: Profile) -> random.Random:
    return random.Random(profile.seed)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture(params=["postgres", "redis"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    directory = tmp_path / "engine"
    directory.mkdir()
    made: Engine = Postgres() if request.param == "postgres" else Redis(directory)
    yield made
    made.close()
