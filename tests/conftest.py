"""The world of every test, alike by hand and in a CI service, whose variable changes what reaper asks and draws."""

import os
from collections.abc import Iterator

import pytest

from tests.support.processes import fork_server

os.environ.pop("CI", None)


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    yield
    fork_server.end()
