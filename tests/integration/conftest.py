import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and threads are tested on the loop that the product runs on."""
    return "asyncio"
