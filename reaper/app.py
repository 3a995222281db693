"""The composition root: settings become objects here, and only here."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from reaper.api.credentials import Credentials
from reaper.core.decide import RetryPolicy
from reaper.core.gate import Gate
from reaper.core.model import Pause
from reaper.core.rate import Rate
from reaper.errors import ConfigError, ReaperError
from reaper.intake.follow import Follower
from reaper.intake.run import Source
from reaper.intake.spool import Spool
from reaper.queues.base import Queue, RunSet
from reaper.seams import IdleWait, Rules
from reaper.settings import ProtectSettings, Settings, token_source
from reaper.telemetry.journal import LogJournal, Meter
from reaper.worker import Worker

if TYPE_CHECKING:
    from reaper.api.client import Client


@dataclass(slots=True)
class Edge:
    """The API's side of the house, before any worker: what `check` needs too."""

    client: Client
    credentials: Credentials


def credentials_of(settings: Settings) -> Credentials:
    """Return the token's keeper. Raises ConfigError when no token is configured at all."""
    source = token_source(settings, os.environ)
    return Credentials(source.file, source.value.get_secret_value() if source.value else None)


def refuse_what_is_not_built(settings: Settings) -> None:
    """Raise ConfigError for a setting whose effect this version does not have: nobody may rely on it in vain."""
    if settings.protect != ProtectSettings():
        raise ConfigError(
            "protect.*: this version cannot protect sessions yet; keep their IDs out of the input instead"
        )
    if settings.discovery.enabled:
        raise ConfigError("discovery.enabled: this version cannot find sessions by itself yet; set it to false")


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
async def open_edge(settings: Settings, credentials: Credentials) -> AsyncIterator[Edge]:
    """Open the API edge; its connections are closed at the end."""
    refuse_what_is_not_built(settings)
    edge = Edge(new_client(settings, credentials), credentials)
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


def rules_of(settings: Settings) -> Rules:
    """Return the worker's rules."""
    return Rules(
        lease_s=settings.queue.lease_s,
        retry=RetryPolicy(settings.retry.max_attempts, settings.retry.base_s, settings.retry.cap_s),
        keep_settled_s=settings.queue.keep_settled_s,
        drain_timeout_s=settings.worker.drain_timeout_s,
    )


def new_worker(
    settings: Settings,
    queue: Queue,
    edge: Edge,
    *,
    idle: IdleWait,
    enough: Callable[[Sequence[Pause], float], bool] = lambda pauses, away_s: False,
    within: RunSet | None = None,
    meter: Meter | None = None,
) -> Worker:
    """Return a worker over an open queue and edge."""
    gate = Gate(
        settings.worker.concurrency,
        adaptive=settings.worker.adaptive,
        rate=Rate(settings.worker.rate_per_s),
        verify=settings.api.verify,
        generation=edge.credentials.generation,
    )
    return Worker(
        queue=queue,
        api=edge.client,
        gate=gate,
        token=edge.credentials,
        rules=rules_of(settings),
        journal=LogJournal(meter),
        clock=queue.now,
        now=time.monotonic,
        idle=idle,
        enough=enough,
        within=within,
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
