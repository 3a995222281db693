"""The line about the health listener: its address is bound for a moment, as `run` would bind it."""

from __future__ import annotations

import anyio

from reaper.app.check.line import Line, hindrance_of
from reaper.core.errors import ConfigError, QueueError
from reaper.queues.base import Queue
from reaper.settings.listen_address import address_to_ask, split_listen
from reaper.settings.load import Loaded
from reaper.telemetry.endpoints import OWNER_HEADER
from reaper.telemetry.http.server import bind

ANSWER_S = 2.0
MAX_HEAD_BYTES = 4096


async def listen_line(loaded: Loaded, queue: Queue | None) -> Line:
    """Return the line. An address that a reaper of this queue holds is well; `queue` None: there is none yet."""
    address = split_listen(loaded.settings.telemetry.listen)
    if address is None:
        return Line("listen", "off: telemetry.listen is empty")
    where = loaded.settings.telemetry.listen
    try:
        async with await bind(*address):
            return Line("listen", f"{where} is free")
    except ConfigError as error:
        if queue is not None and await _is_of_queue(address, queue):
            return Line("listen", f"a reaper of this queue listens at {where}")
        text = str(error).removeprefix("telemetry.listen: ")
        if loaded.origins["telemetry.listen"] == "default":
            return Line("listen", f"{text}; run warns of it and goes on without its pages", warned=True)
        return Line("listen", text, hindrance_of(error))


async def _is_of_queue(address: tuple[str, int], queue: Queue) -> bool:
    """Return whether the process that listens there says that it is one of the queue's live workers."""
    try:
        with anyio.fail_after(ANSWER_S):
            owner = await _ask_owner(*address_to_ask(*address))
            return owner is not None and owner in {worker.owner for worker in await queue.live_workers()}
    except (OSError, TimeoutError, QueueError, anyio.BrokenResourceError, anyio.EndOfStream):
        return False


async def _ask_owner(host: str, port: int) -> str | None:
    head = b""
    async with await anyio.connect_tcp(host, port) as stream:
        await stream.send(f"GET /livez HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            head += await stream.receive(1024)
    prefix = f"{OWNER_HEADER}: ".lower()
    lines = head.decode("latin-1").split("\r\n")
    return next((line[len(prefix) :] for line in lines if line.lower().startswith(prefix)), None)
