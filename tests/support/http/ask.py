"""Sends one request to an address, as bytes."""

from __future__ import annotations

import anyio


async def ask(where: str, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Send bytes and read to the end; return the status line, the headers by lower-case name, and the body."""
    host, _, port = where.rpartition(":")
    answer = b""
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(request)
        with anyio.fail_after(10):
            try:
                while True:
                    answer += await stream.receive()
            except anyio.EndOfStream:
                pass
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body
