"""How fast the stand-in answers: DELETEs a second, and the CPU time one costs it.

    python bench/sandbox_rate.py [--requests 50000] [--connections 64]

The server runs in a process of its own. The client is a bare asyncio protocol: keep-alive, one request at a time per
connection. On a machine with two cores or more each side is pinned to one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import time
from functools import partial
from multiprocessing.connection import Connection as Pipe
from urllib.parse import urlsplit

from reaper.sandbox.server import DEFAULT_TOKEN, Sandbox
from reaper.sandbox.sessions import generate


class Caller(asyncio.Protocol):
    """Takes IDs from a shared list until it is empty, one DELETE at a time."""

    def __init__(self, ids: list[str], answers: dict[bytes, int], over: asyncio.Future[None]) -> None:
        self.ids, self.answers, self.over = ids, answers, over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        if not self.ids:
            self.over.set_result(None)
            self.transport.close()
            return
        path = f"/api/sessions/{self.ids.pop()}"
        self.transport.write(
            f"DELETE {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DEFAULT_TOKEN}\r\n"
            "user-agent: sandbox-rate\r\naccept: */*\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        # A 204 is one small write without a body: it comes whole.
        self.answers[data[9:12]] = self.answers.get(data[9:12], 0) + 1
        self.send()


def server(pipe: Pipe, sessions: int, core: int | None) -> None:
    """Serve until the pipe says so; then tell the CPU seconds that serving cost."""
    if core is not None:
        os.sched_setaffinity(0, {core})

    async def main() -> None:
        async with Sandbox(sessions, remember=False) as sandbox:
            at_start_s = cpu_s()
            pipe.send(sandbox.url)
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
            pipe.send(cpu_s() - at_start_s)

    asyncio.run(main())


async def drive(url: str, ids: list[str], connections: int) -> tuple[float, dict[bytes, int]]:
    """Return the seconds that all DELETEs took, and how many got which status."""
    host, _, port = urlsplit(url).netloc.partition(":")
    answers: dict[bytes, int] = {}
    loop = asyncio.get_running_loop()
    overs: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for over in overs:
        await loop.create_connection(partial(Caller, ids, answers, over), host, int(port))
    await asyncio.gather(*overs)
    return time.perf_counter() - began, answers


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast the sandbox answers.")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()

    cores = sorted(os.sched_getaffinity(0))
    pinned = len(cores) > 1
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=server, args=(theirs, options.requests, cores[0] if pinned else None))
    process.start()
    url = ours.recv()
    if pinned:
        os.sched_setaffinity(0, {cores[1]})
    ids = [session.session_id for session in generate(options.requests)]
    spent_s, answers = asyncio.run(drive(url, ids, options.connections))
    ours.send("over")
    served_s = ours.recv()
    process.join()
    assert answers == {b"204": options.requests}, answers
    figures = {
        "requests": options.requests,
        "connections": options.connections,
        "requests_per_s": round(options.requests / spent_s),
        "server_cpu_us_per_request": round(served_s / options.requests * 1e6, 1),
        "client_and_server_pinned_to_a_core_each": pinned,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
