"""The world of every test, alike by hand and in a CI service, whose variable changes what reaper asks and draws."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.processes import fork_server

os.environ.pop("CI", None)
# Properties are about what is computed, not how fast: a busy machine is no counterexample; pytest has its timeout.
settings.register_profile("reaper", deadline=None)
settings.load_profile("reaper")


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    yield
    fork_server.end()


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what a test configured: the next one would have its texts masked with this one's token."""
    yield
    if logs := sys.modules.get("reaper.telemetry.logs"):
        logs.reset()
