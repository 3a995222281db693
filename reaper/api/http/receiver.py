"""How bytes come from the event loop to a connection: through one buffer that the connections of a transport share.

To a protocol without a buffer the loop gives a new `bytes`. Over TLS it does not know how long that will be: uvloop
takes a block of 256 KiB from the kernel for each read, and gives nearly all of it back.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod

BUFFER_BYTES = 64 * 1024
"""Four records of TLS: what is longer comes in the next read."""


def new_buffer() -> memoryview:
    """Return a buffer for the connections of one event loop. A view, because asyncio cuts it and means its bytes."""
    return memoryview(bytearray(BUFFER_BYTES))


class Receiver(asyncio.BufferedProtocol):
    """A protocol that is given what came as `bytes`. The loop fills the buffer and tells so in one step."""

    __slots__ = ("_buffer",)

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the loop may write."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the loop has written."""
        self.data_received(self._buffer[:nbytes].tobytes())

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """Take the next bytes, at least one."""
