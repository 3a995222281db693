"""The check before a DELETE: protection is for every ID, no matter who asked for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from reaper.core.discovery.policy import PolicyOptions
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.sightings import Owners, Sightings
from reaper.core.model import Answered, Lease, Reply, SessionId
from reaper.core.preflight import Inconclusive, Proceed, Skip
from reaper.intake.discovery.preflight import PreflightCheck

pytestmark = pytest.mark.anyio

NAMED = Lease(SessionId("env_1"), "r", 1, 0, 1, 0, False, False, "ids.txt", 0.0, 0.0)
CHOSEN = replace(NAMED, source="discovery:expired")
IN_BATCH = Answered(200, json.dumps({"sessionId": "env_1", "batchId": "nightly"}).encode(), 0.1)


@dataclass
class Reading:
    """An API that answers one read; anything else is an error of the test."""

    reply: Reply = IN_BATCH
    asked: list[str] = field(default_factory=list)

    async def get_session(self, session_id: SessionId, may_start: object = None) -> Reply:
        self.asked.append(session_id)
        return self.reply

    async def stop(self, session_id: SessionId, may_start: object = None) -> Reply:
        raise NotImplementedError

    async def list_sessions(self) -> Reply:
        raise NotImplementedError

    async def whoami(self) -> Reply:
        raise NotImplementedError


def preflight(api: Reading, protection: Protection, *, verify: bool = True) -> PreflightCheck:
    async def owners() -> Owners:
        return None

    async def sightings() -> Sightings:
        return Sightings()

    return PreflightCheck(
        api=lambda: api,
        is_chosen=lambda lease: lease.source.startswith("discovery:"),
        protection=lambda: protection,
        owners=owners,
        sightings=sightings,
        rules=PolicyOptions(),
        verify=verify,
    )


@pytest.mark.parametrize("lease", [NAMED, CHOSEN])
async def test_a_protected_id_is_spared_whoever_named_it(lease: Lease) -> None:
    api = Reading()
    check = preflight(api, Protection(frozenset({"env_1"})))
    assert check.applies_to(lease)
    assert await check(lease, bool) == Skip("session env_1 is protected", "session env_1 is protected")
    assert api.asked == [], "the ID alone says it"


@pytest.mark.parametrize("lease", [NAMED, CHOSEN])
async def test_a_session_of_a_protected_batch_is_spared_whoever_named_it(lease: Lease) -> None:
    api = Reading()
    check = preflight(api, Protection(globs=("night*",)))
    assert check.applies_to(lease)
    assert isinstance(await check(lease, bool), Skip)
    assert api.asked == ["env_1"]


async def test_what_nothing_protects_goes_on_and_is_not_looked_at_without_need() -> None:
    assert not preflight(Reading(), Protection()).applies_to(NAMED)
    assert preflight(Reading(), Protection()).applies_to(CHOSEN), "the policy is asked once more"
    assert isinstance(await preflight(Reading(), Protection(frozenset({"other"})))(NAMED, bool), Proceed)


async def test_without_reads_the_id_alone_decides_for_what_was_named() -> None:
    api = Reading()
    assert isinstance(await preflight(api, Protection(globs=("night*",)), verify=False)(NAMED, bool), Proceed)
    assert api.asked == []


async def test_a_session_that_cannot_be_read_is_not_stopped() -> None:
    check = preflight(Reading(Answered(502, b"", 0.1)), Protection(globs=("night*",)))
    assert isinstance(await check(NAMED, bool), Inconclusive)
