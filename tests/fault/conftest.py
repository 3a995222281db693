"""The world of the fault tests: an engine, a stand-in API, and how much of it all (FAULT_PROFILE=short|long)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fault.engines import Engine, Postgres, Redis
from tests.support.fault.profile import PROFILES, Profile
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command


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
