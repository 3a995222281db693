"""The composition root: settings become objects here, and only here."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio

from reaper.api.credentials import Credentials
from reaper.core.classify import ReadVerdict
from reaper.core.decide import RetryPolicy
from reaper.core.discovery.guard import GuardLimits
from reaper.core.discovery.policy import PolicyOptions as PolicyRules
from reaper.core.discovery.sightings import Sightings, read_sightings
from reaper.core.errors import ReaperError
from reaper.core.gate import Gate
from reaper.core.model import Pause, Reply
from reaper.core.rate_limit import RateLimit
from reaper.intake.discovery.held_sweeps import SOURCE
from reaper.intake.discovery.owners import OwnersSource
from reaper.intake.discovery.preflight import PreflightCheck
from reaper.intake.discovery.protection_file import Protector
from reaper.intake.discovery.sweep import SIGHTINGS, Discovery, SweepOptions, SweepReport
from reaper.intake.follower import Follower
from reaper.intake.poller import Source
from reaper.intake.spool import Spool
from reaper.queues.base import Queue, RunSet
from reaper.settings.schema import Settings
from reaper.settings.token_source import token_source
from reaper.telemetry.event_log import LogJournal, Meter, SweepLog, note_failure
from reaper.worker.identity import Identity
from reaper.worker.ports import IdleWait, WorkerOptions
from reaper.worker.worker import Worker

if TYPE_CHECKING:
    from reaper.api.client import Client


T = TypeVar("T")


@dataclass(slots=True)
class ApiConnection:
    """The API's side of the house, before any worker: what `check` needs too."""

    client: Client
    credentials: Credentials


def credentials_of(settings: Settings) -> Credentials:
    """Return the token's keeper. Raises ConfigError when no token is configured at all."""
    source = token_source(settings.api, os.environ)
    return Credentials(source.file, source.value.get_secret_value() if source.value else None)


def new_client(settings: Settings, credentials: Credentials) -> Client:
    """Return a client for the API. Raises ConfigError when a setting of it cannot be used."""
    # Imported when first needed: httpx is a third of the start-up, and a run that finds nothing to do needs none of it.
    from reaper.api.client import Client, Target

    target = Target(
        base_url=settings.api.base_url,
        timeout_s=settings.api.timeout_s,
        connect_timeout_s=settings.api.connect_timeout_s,
        ca_file=str(settings.api.ca_file) if settings.api.ca_file else None,
        proxy=settings.api.proxy,
        http=settings.api.http,
        concurrency=settings.worker.concurrency,
    )
    return Client(target, credentials)


@asynccontextmanager
async def open_api(settings: Settings, credentials: Credentials) -> AsyncIterator[ApiConnection]:
    """Open the API edge; its connections are closed at the end."""
    edge = ApiConnection(new_client(settings, credentials), credentials)
    try:
        yield edge
    finally:
        with anyio.CancelScope(shield=True):
            await edge.client.aclose()


def sources_of(settings: Settings, queue: Queue) -> list[Source]:
    """Return what the daemon follows. Raises ConfigError for a spool directory that can't be used."""
    intake = settings.intake
    sources: list[Source] = [Follower(queue, str(path), intake.default_after_s) for path in intake.files]
    if intake.spool_dir is not None:
        spool = Spool(queue, intake.spool_dir, intake.default_after_s)
        spool.prepare()
        sources.append(spool)
    return sources


@dataclass(frozen=True, slots=True)
class DiscoveryParts:
    """What decides which sessions are stopped, beside those that somebody names; a reload makes it anew."""

    discovery: Discovery
    look: PreflightCheck


def new_identity(edge: ApiConnection, queue: Queue, *, pin: bool = True) -> Identity:
    """Return what reads whose sessions these are; it follows the edge to another address."""
    return Identity(lambda: edge.client, queue, LogJournal(), pin)


def protector_of(settings: Settings) -> Protector:
    """Return what knows who is protected. Raises ConfigError when protect.file cannot be read."""
    protect = settings.protect
    protector = Protector(tuple(protect.ids), tuple(protect.globs), protect.file, on_failure=note_failure)
    protector.now()
    return protector


def new_discovery(
    settings: Settings, queue: Queue, edge: ApiConnection, identity: Identity, report: SweepReport
) -> DiscoveryParts:
    """Return discovery and the last look. Raises ConfigError when a protect.file was never readable."""
    guard, discovery = settings.guard, settings.discovery
    protector = protector_of(settings)
    owners = OwnersSource(
        discovery.owners_file, discovery.owners_command, discovery.owners_timeout_s, on_failure=note_failure
    )
    options = SweepOptions(
        enforce=discovery.enforce,
        rules=PolicyRules(discovery.grace_s),
        limits=GuardLimits(guard.max_per_sweep, guard.max_share, guard.list_shrink),
    )

    async def read() -> tuple[Reply, ReadVerdict]:
        seen = await identity.read()
        return seen.reply, seen.verdict

    async def sightings() -> Sightings:
        return read_sightings(await queue.note(SIGHTINGS))

    return DiscoveryParts(
        Discovery(queue, read, owners.read, protector.now, options, report),
        PreflightCheck(
            lambda: edge.client,
            lambda lease: lease.source.startswith(f"{SOURCE}:"),
            protector.now,
            owners.read,
            sightings,
            options.rules,
            verify=settings.api.verify,
        ),
    )


def worker_options(settings: Settings) -> WorkerOptions:
    """Return the worker's rules."""
    return WorkerOptions(
        lease_s=settings.queue.lease_s,
        send_s=settings.api.timeout_s,
        retry=RetryPolicy(settings.retry.max_attempts, settings.retry.base_s, settings.retry.cap_s),
        keep_settled_s=settings.queue.keep_settled_s,
        drain_timeout_s=settings.worker.drain_timeout_s,
    )


def new_worker(
    settings: Settings,
    queue: Queue,
    edge: ApiConnection,
    identity: Identity,
    finding: DiscoveryParts,
    *,
    idle: IdleWait,
    should_stop: Callable[[Sequence[Pause], float], bool] = lambda pauses, away_s: False,
    within: RunSet | None = None,
    meter: Meter | None = None,
    each: bool = True,
) -> Worker:
    """Return a worker over an open queue and edge; for `each` see `LogJournal`."""
    gate = Gate(
        settings.worker.concurrency,
        adaptive=settings.worker.adaptive,
        rate=RateLimit(settings.worker.rate_per_s),
        verify=settings.api.verify,
        generation=edge.credentials.generation,
    )
    return Worker(
        queue=queue,
        api=edge.client,
        gate=gate,
        token=edge.credentials,
        rules=worker_options(settings),
        journal=LogJournal(meter, each),
        identify=identity.verdict,
        look=finding.look,
        clock=queue.now,
        now=time.monotonic,
        idle=idle,
        should_stop=should_stop,
        within=within,
    )


@dataclass(slots=True)
class RunParts:
    """The parts of one run, made when they are needed: a run that finds nothing to do opens no way to the API."""

    settings: Settings
    queue: Queue
    credentials: Credentials
    opened: AsyncExitStack
    pin: bool = True
    """Whether the queue may be told whose account it is for; not when it is open to read."""
    _parts: tuple[ApiConnection, Identity, DiscoveryParts] | None = None

    async def _made(self) -> tuple[ApiConnection, Identity, DiscoveryParts]:
        if self._parts is None:
            edge = await self.opened.enter_async_context(open_api(self.settings, self.credentials))
            identity = new_identity(edge, self.queue, pin=self.pin)
            self._parts = edge, identity, new_discovery(self.settings, self.queue, edge, identity, SweepLog())
        return self._parts

    async def finding(self) -> DiscoveryParts:
        return (await self._made())[2]

    async def worker(
        self,
        *,
        idle: IdleWait,
        should_stop: Callable[[Sequence[Pause], float], bool],
        within: RunSet,
        meter: Meter | None = None,
        each: bool = True,
    ) -> Worker:
        parts = await self._made()
        return new_worker(
            self.settings, self.queue, *parts, idle=idle, should_stop=should_stop, within=within, meter=meter, each=each
        )


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what a task group failed with: the first of our own errors, else the first of any."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            leaves.append(error)
    return next((leaf for leaf in leaves if isinstance(leaf, ReaperError)), leaves[0])


async def raise_first_error(run: Awaitable[T]) -> T:
    """Await what opens task groups; a failure comes out of them as one plain error."""
    try:
        return await run
    except BaseExceptionGroup as group:
        raise first_error(group) from group
