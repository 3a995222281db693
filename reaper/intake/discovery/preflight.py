"""The last look before a DELETE: what is protected is spared, and what discovery chose is judged once more (SPEC 7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.policy import Judgement, PolicyOptions, judge
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.recheck import recheck, recheck_protection
from reaper.core.discovery.server_clock import NoServerTime, read_date
from reaper.core.discovery.sightings import Owners, Sightings
from reaper.core.model import Answered, Lease, Reply, SessionId
from reaper.core.preflight import Proceed, Recheck, Skip


class SessionReader(Protocol):
    """Read one session: `GET /api/sessions/{id}`. Never raises for what a network can do."""

    async def get_session(self, session_id: SessionId) -> Reply: ...


@dataclass(slots=True)
class PreflightCheck:
    """Looks where there is something to look at: what discovery chose, as `chosen` tells, and all if any are protected.

    `verify` off means that the token may not read: then only the ID can tell that a session is protected.
    """

    api: Callable[[], SessionReader]
    chosen: Callable[[Lease], bool]
    protection: Callable[[], Protection]
    owners: Callable[[], Awaitable[Owners]]
    sightings: Callable[[], Awaitable[Sightings]]
    rules: PolicyOptions
    verify: bool = True

    def applies_to(self, lease: Lease) -> bool:
        return self.chosen(lease) or bool(self.protection())

    async def __call__(self, lease: Lease) -> Recheck:
        protection = self.protection()
        if why := protection.of_id(lease.session_id):
            return Skip(why, why)
        if self.chosen(lease):
            owners, sightings = await self.owners(), await self.sightings()

            def judged(session: SessionSummary, reply: Answered) -> Judgement:
                reading = read_date(reply.date, local_at=0.0, monotonic_at=0.0, round_trip_s=reply.duration_s)
                return judge(
                    session,
                    server_now=None if isinstance(reading, NoServerTime) else reading.server_at,
                    sightings=sightings,
                    owners=owners,
                    rules=self.rules,
                    protection=protection,
                )

            return recheck(await self.api().get_session(lease.session_id), lease.session_id, judged)
        if not self.verify:
            return Proceed("its ID is not protected")
        return recheck_protection(await self.api().get_session(lease.session_id), lease.session_id, protection)
