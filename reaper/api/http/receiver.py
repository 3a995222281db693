"""How bytes come from the event loop to a connection: through one buffer that all connections of a `Connector` share.

To a protocol without a buffer the loop gives a new `bytes`. Over TLS it does not know how long that will be: uvloop and
asyncio ask for 256 KiB for each read, and give nearly all of it back.
"""

from __future__ import annotations

import asyncio
from typing import Final

RECORD_BYTES = 32 * 1024
"""More than a record of TLS (16 KiB): OpenSSL may hold a part of one that no loop counts."""
BUFFER_BYTES = 256 * 1024 + 2 * RECORD_BYTES
"""More than one read of TLS brings, which is 256 KiB on both loops. What a buffer does not hold waits for a later turn,
and when the peer's end comes before that turn, the loops drop it."""


def new_buffer() -> memoryview:
    """Return a buffer for one event loop. asyncio reads into slices of it; a slice of a bytearray would be a copy."""
    return memoryview(bytearray(BUFFER_BYTES))


class Gone(asyncio.Transport):
    """What a connection has in place of its transport once that is lost."""

    def is_closing(self) -> bool:
        """Return True: there is nothing to write to."""
        return True

    def close(self) -> None:
        """Do nothing: it is closed."""

    def abort(self) -> None:
        """Do nothing: it is closed."""


GONE: Final = Gone()


class Receiver(asyncio.BufferedProtocol):
    """A protocol that is given what came as `bytes`. The loop fills the buffer and tells of it in one step."""

    __slots__ = ("_buffer", "_transport")

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._transport: asyncio.Transport = GONE

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the loop may write all that waits, of which it knows `sizehint` bytes; -1: of none."""
        if sizehint + RECORD_BYTES > len(self._buffer):
            self._buffer = memoryview(bytearray(sizehint + RECORD_BYTES))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the loop has written."""
        self.data_received(self._buffer[:nbytes].tobytes())

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, at least one."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Forget the lost transport. TLS keeps our methods, and would live with its buffers until a collection."""
        self._transport = GONE
