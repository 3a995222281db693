"""Async unit tests run on Trio with a clock that jumps to the next deadline when nothing else can run."""

from typing import Any

import pytest
import trio.testing


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """A new clock per test: virtual time starts anew and no test waits in real time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
