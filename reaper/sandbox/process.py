"""Run the sandbox as a process: `reaper sandbox`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reaper.sandbox.faults import parse_rates
from reaper.sandbox.latency import parse_latency
from reaper.sandbox.server import DEFAULT_TOKEN, Sandbox


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `reaper sandbox`. Raises ValueError with a sentence for the operator when a value is wrong."""

    port: int = 0
    """0 = any free port."""
    token: str = field(default=DEFAULT_TOKEN, repr=False)
    latency: str = "0"
    fail: str = ""
    sessions: int = 0
    seed: int = 0
    log_path: Path | None = None
    host: str = "127.0.0.1"
    ssl_context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        parse_latency(self.latency)
        parse_rates(self.fail)
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port {self.port} is not between 0 and 65535")
        if not self.token:
            raise ValueError("the token must not be empty")
        if self.sessions < 0:
            raise ValueError("the number of sessions must not be negative")


async def serve(options: Options, announce: Callable[[Sandbox], None] = lambda sandbox: None) -> None:
    """Run until cancelled. Call `announce` as soon as the sandbox listens: its `url` and `sessions` are set then.

    Prints nothing. Raises OSError when the port is taken or the log cannot be written.
    """
    async with Sandbox(
        options.sessions,
        token=options.token,
        seed=options.seed,
        latency=options.latency,
        fail=options.fail,
        host=options.host,
        port=options.port,
        ssl_context=options.ssl_context,
        log_path=options.log_path,
        remember=False,
    ) as sandbox:
        announce(sandbox)
        await asyncio.Event().wait()
