"""The composition root: settings become objects here. Only `queues/open.py` names concrete classes, too."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from reaper.api.credentials import Credentials
from reaper.app.descriptors import usable_concurrency
from reaper.app.startup import protector_of
from reaper.core.decide import RetryPolicy
from reaper.core.discovery.guard import GuardLimits
from reaper.core.discovery.policy import PolicyOptions
from reaper.core.discovery.sightings import Sightings, read_sightings
from reaper.core.gate import Gate
from reaper.core.model import Pause
from reaper.core.rate_limit import RateLimit
from reaper.intake.discovery.held_sweeps import SOURCE
from reaper.intake.discovery.owners import OwnersSource
from reaper.intake.discovery.preflight import PreflightCheck
from reaper.intake.discovery.sweep import SIGHTINGS, Discovery, SweepOptions, SweepReport
from reaper.intake.followed_paths import FollowedPaths
from reaper.intake.poller import Source
from reaper.intake.spool import Spool
from reaper.queues.base import IntakePort, Queue, RunSet, ValuePort
from reaper.settings.schema import Settings
from reaper.telemetry.event_log import LogJournal, Meter, WorkMeter, log_failed_source
from reaper.worker.identity import Identity
from reaper.worker.ports import IdleWait, TargetJournal, WorkerOptions
from reaper.worker.worker import Worker

if TYPE_CHECKING:
    from reaper.api.client import Client, Target


@dataclass(slots=True)
class ApiConnection:
    """The API's side of the house, before any worker. `check` needs it, too."""

    client: Client
    credentials: Credentials


def target_of(settings: Settings) -> Target:
    """Return the settings that a client is made of: another value of one wants another client."""
    from reaper.api.client import Target

    return Target(
        base_url=settings.api.base_url,
        timeout_s=settings.api.timeout_s,
        connect_timeout_s=settings.api.connect_timeout_s,
        ca_file=str(settings.api.ca_file) if settings.api.ca_file else None,
        proxy=settings.api.proxy,
        http=settings.api.http,
        connection_max_age_s=settings.api.connection_max_age_s,
        concurrency=usable_concurrency(settings.worker.concurrency),
    )


def new_client(settings: Settings, credentials: Credentials) -> Client:
    """Return a client for the API. Raises ConfigError when a setting of it cannot be used."""
    # Imported when first needed: httpx is a third of the start-up, and a run that finds nothing to do needs none of it.
    from reaper.api.client import Client

    return Client(target_of(settings), credentials, log_failed_source)


@asynccontextmanager
async def open_api(settings: Settings, credentials: Credentials) -> AsyncIterator[ApiConnection]:
    """Open the API's client; its connections are closed at the end."""
    connection = ApiConnection(new_client(settings, credentials), credentials)
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            await connection.client.aclose()


def sources_of(settings: Settings, queue: IntakePort) -> list[Source]:
    """Return what the daemon follows. Raises ConfigError for a spool directory that can't be used."""
    intake = settings.intake
    followed: set[str] = set()
    sources: list[Source] = [FollowedPaths(queue, str(path), intake.default_after_s, followed) for path in intake.files]
    if intake.spool_dir is not None:
        spool = Spool(queue, intake.spool_dir, intake.default_after_s)
        spool.prepare()
        sources.append(spool)
    return sources


@dataclass(frozen=True, slots=True)
class DiscoveryParts:
    """Discovery and the preflight check, rebuilt on every reload."""

    discovery: Discovery
    preflight: PreflightCheck


def new_identity(
    connection: ApiConnection, queue: ValuePort, *, may_pin: bool = True, journal: TargetJournal | None = None
) -> Identity:
    """Return the identity reads; they follow the connection to another address. `journal`: in place of the log."""
    journal = journal or LogJournal()
    return Identity(lambda: (connection.client, connection.client.address), queue, journal, may_pin)


def owners_of(settings: Settings, on_failure: Callable[[str], None] = log_failed_source) -> OwnersSource:
    """Return the source of the live batch IDs."""
    discovery = settings.discovery
    return OwnersSource(
        discovery.owners_file, discovery.owners_command, discovery.owners_timeout_s, on_failure=on_failure
    )


def new_discovery(
    settings: Settings, queue: Queue, connection: ApiConnection, identity: Identity, report: SweepReport
) -> DiscoveryParts:
    """Return discovery and the preflight check. Raises ConfigError when a protect.file was never readable."""
    guard, discovery = settings.guard, settings.discovery
    protector = protector_of(settings)
    owners = owners_of(settings)
    options = SweepOptions(
        enforce=discovery.enforce,
        rules=PolicyOptions(discovery.grace_s),
        limits=GuardLimits(guard.max_per_sweep, guard.max_share, guard.list_shrink),
    )

    async def sightings() -> Sightings:
        return read_sightings(await queue.read_value(SIGHTINGS))

    return DiscoveryParts(
        Discovery(
            queue, identity.read, owners.read, protector.now, options, report, owners_failure=lambda: owners.failure
        ),
        PreflightCheck(
            lambda: connection.client,
            lambda lease: lease.source.startswith(f"{SOURCE}:"),
            protector.now,
            owners.read,
            sightings,
            options.rules,
            verify=settings.api.verify,
        ),
    )


def worker_options(settings: Settings) -> WorkerOptions:
    """Return the worker's part of the settings."""
    return WorkerOptions(
        lease_s=settings.queue.lease_s,
        send_s=settings.api.timeout_s,
        retry=RetryPolicy(settings.retry.max_attempts, settings.retry.base_s, settings.retry.cap_s),
        keep_settled_s=settings.queue.keep_settled_s,
        drain_timeout_s=settings.worker.drain_timeout_s,
    )


def new_gate(settings: Settings, generation: int) -> Gate:
    """Return the admission control of one process; `generation` is that of its token."""
    return Gate(
        usable_concurrency(settings.worker.concurrency),
        adaptive=settings.worker.adaptive,
        rate=RateLimit(settings.worker.rate_per_s),
        verify=settings.api.verify,
        generation=generation,
    )


def new_worker(
    settings: Settings,
    queue: Queue,
    connection: ApiConnection,
    identity: Identity,
    discovery_parts: DiscoveryParts,
    *,
    idle: IdleWait,
    should_stop: Callable[[Sequence[Pause], float], bool] = lambda pauses, unavailable_s: False,
    within: RunSet | None = None,
    meter: Meter | None = None,
    each: bool = True,
    metrics: WorkMeter | None = None,
) -> Worker:
    """Return a worker over an open queue and API connection; for `each` see `LogJournal`."""
    return Worker(
        queue=queue,
        api=connection.client,
        gate=new_gate(settings, connection.credentials.generation),
        token=connection.credentials,
        options=worker_options(settings),
        journal=LogJournal(meter, each, metrics),
        identify=identity.read,
        compare_target=identity.compare,
        preflight=discovery_parts.preflight,
        clock=queue.now,
        now=time.monotonic,
        idle=idle,
        should_stop=should_stop,
        within=within,
    )
