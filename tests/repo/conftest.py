"""Checks of the repository itself: documents, generated files, benches, planted bugs."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Return the loop that the benches run on."""
    return "asyncio"
