"""Check a session before its DELETE: skip a protected one, judge a chosen one again (docs/discovery.md)."""

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
    """Reads one session: `GET /api/sessions/{id}`. Raises no network error, but Withheld."""

    async def get_session(self, session_id: SessionId, may_start: Callable[[], bool]) -> Reply: ...


@dataclass(slots=True)
class PreflightCheck:
    """Checks the sessions that discovery chose (`is_chosen`), and every session if any is protected.

    `verify` false: the token may not read, so only its ID can show that a session is protected.
    """

    api: Callable[[], SessionReader]
    is_chosen: Callable[[Lease], bool]
    protection: Callable[[], Protection]
    owners: Callable[[], Awaitable[Owners]]
    sightings: Callable[[], Awaitable[Sightings]]
    rules: PolicyOptions
    verify: bool = True

    def applies_to(self, lease: Lease) -> bool:
        return self.is_chosen(lease) or bool(self.protection())

    async def __call__(self, lease: Lease, may_start: Callable[[], bool]) -> Recheck:
        api, protection = self.api(), self.protection()  # a reload meanwhile must not send this to another address
        if why := protection.of_id(lease.session_id):
            return Skip(why, why)
        if self.is_chosen(lease):
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

            return recheck(await api.get_session(lease.session_id, may_start), lease.session_id, judged)
        if not self.verify:
            return Proceed("its ID is not protected")
        return recheck_protection(await api.get_session(lease.session_id, may_start), lease.session_id, protection)
