"""The blocking library, for programs without an event loop."""

from __future__ import annotations

import asyncio
from typing import Unpack

from reaper.app.event_loop import loop_factory
from reaper.app.once import RETRY_WAIT_S
from reaper.core.errors import UsageError
from reaper.library.async_api import Ids, Seconds, open
from reaper.library.options import Options
from reaper.library.summary import Summary


def stop_sessions(
    ids: Ids,
    *,
    leftovers: bool = True,
    budget: Seconds | None = None,
    wait: Seconds = RETRY_WAIT_S,
    **options: Unpack[Options],
) -> Summary:
    """Add session IDs durably, stop them, and return the result; for plain scripts.

    Arguments and errors are those of `Reaper.stop` and `reaper.open`. Ctrl-C ends it as it ends any script; sessions
    that were not stopped stay queued.

    Raises UsageError inside a running event loop: there, use `reaper.open`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError("stop_sessions would block the running event loop: use `async with reaper.open() as r` there")
    with asyncio.Runner(loop_factory=loop_factory(fast=False)) as runner:
        return runner.run(_stop(ids, leftovers, budget, wait, options))


async def _stop(ids: Ids, leftovers: bool, budget: Seconds | None, wait: Seconds, options: Options) -> Summary:
    async with open(**options) as reaper:
        return await reaper.stop(ids, leftovers=leftovers, budget=budget, wait=wait)
