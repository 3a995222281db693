"""SIGHUP: a daemon takes over changed settings and the token while its sends go on; a bad file changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reaper.app.wiring import ApiConnection, DiscoveryParts, new_client, sources_of, worker_options
from reaper.core.rate_limit import RateLimit
from reaper.intake.poller import Intake, Source
from reaper.queues.base import Queue
from reaper.settings.load import Loaded
from reaper.settings.schema import Settings, token_source
from reaper.telemetry import logs
from reaper.worker.worker import Worker

FIXED = ("queue.url", "telemetry.listen")
"""What only a restart changes (SPEC 3)."""


@dataclass(slots=True)
class DaemonParts:
    """A daemon's parts, as far as a reload changes them."""

    loaded: Loaded
    queue: Queue
    edge: ApiConnection
    worker: Worker
    intake: Intake
    sources: Sequence[Source]
    finding: DiscoveryParts
    refind: Callable[[Settings], DiscoveryParts]
    """Makes what decides which sessions are stopped for changed settings."""
    began_with: Settings

    @property
    def settings(self) -> Settings:
        return self.loaded.settings


async def apply_configuration(running: DaemonParts, loaded: Loaded) -> tuple[list[str], list[str]]:
    """Let the parts follow `loaded`; return the keys that changed, and those that only a restart will change.

    Whatever is in flight ends by the settings it began with. Raises ConfigError, and nothing has changed then.
    """
    old, new = running.settings, loaded.settings
    source = token_source(new, os.environ)
    elsewhere = new.api.base_url != old.api.base_url
    client = new_client(new, running.edge.credentials) if _connection(new) != _connection(old) else None
    sources = sources_of(new, running.queue) if new.intake != old.intake else None
    finding = running.refind(new)

    value = source.value.get_secret_value() if source.value else None
    token = running.edge.credentials.read(source.file, value)

    # From here on nothing can be refused, and until the gate knows that identity has to be shown, nothing may wait:
    # a send that began in between would go to the new address unproven.
    another = running.edge.credentials.switch_source(source.file, token, elsewhere=elsewhere)
    logs.configure(new.telemetry, secrets=running.edge.credentials.secrets)
    worker, retired = running.worker, running.edge.client
    if client is not None:
        worker.api = running.edge.client = client
    worker.rules = worker_options(new)
    running.finding, worker.look = finding, finding.look
    rate = worker.gate.rate if new.worker.rate_per_s == old.worker.rate_per_s else RateLimit(new.worker.rate_per_s)
    worker.gate.reconfigure(
        worker.now(), new.worker.concurrency, rate, verify=new.api.verify, adaptive=new.worker.adaptive
    )
    if another:
        worker.gate.target_changed(worker.now(), running.edge.credentials.generation, elsewhere=elsewhere)
    running.loaded = loaded
    worker.wake()
    if client is not None:
        await retired.retire()
    if sources is not None:
        running.sources = sources
        await running.intake.swap(sources, new.intake.poll_s)
    fixed = [key for key in _changed(running.began_with, new) if key in FIXED]
    return [key for key in _changed(old, new) if key not in FIXED], fixed


def _connection(settings: Settings) -> tuple[object, ...]:
    api = settings.api
    bound = settings.worker.concurrency
    return (api.base_url, api.timeout_s, api.connect_timeout_s, api.ca_file, api.proxy, api.http, bound)


def _changed(old: Settings, new: Settings) -> list[str]:
    """Return the dotted keys whose values differ."""
    return [
        f"{section}.{key}"
        for section in Settings.model_fields
        for key in type(getattr(old, section)).model_fields
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
    ]
