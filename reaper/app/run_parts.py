"""The parts of one run of `once`, wired when they are first needed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reaper.api.credentials import Credentials
from reaper.queues.base import Queue
from reaper.settings.schema import Settings

if TYPE_CHECKING:
    from reaper.app.wiring import ApiConnection, DiscoveryParts
    from reaper.core.classify import Throttled
    from reaper.worker.identity import Identity


@dataclass(slots=True)
class RunParts:
    """The parts of one run, made when they are needed: a run with nothing to do opens no connection to the API."""

    settings: Settings
    queue: Queue
    credentials: Credentials
    opened: AsyncExitStack
    may_pin_account: bool = True
    """Whether to write the account into the queue; not when it is open for reading only."""
    sweeps_printed: bool = False
    """Whether the command prints the result of a sweep for a person."""
    throttled: Throttled | None = None
    """A 429 to the sweep that this run began with: its work keeps that silence."""
    _parts: tuple[ApiConnection, Identity, DiscoveryParts] | None = None

    async def open(self) -> tuple[ApiConnection, Identity, DiscoveryParts]:
        """Return the connection to the API, the identity reads and discovery."""
        # Imported here, because cron runs find nothing to do most of the time: 30 modules fewer at such a start.
        from reaper.app.wiring import new_discovery, new_identity, open_api
        from reaper.telemetry.event_log import SweepLog

        if self._parts is None:
            connection = await self.opened.enter_async_context(open_api(self.settings, self.credentials))
            identity = new_identity(connection, self.queue, may_pin=self.may_pin_account)
            self._parts = (
                connection,
                identity,
                new_discovery(self.settings, self.queue, connection, identity, SweepLog(printed=self.sweeps_printed)),
            )
        return self._parts

    async def discovery(self) -> DiscoveryParts:
        """Return discovery and the preflight check."""
        return (await self.open())[2]
