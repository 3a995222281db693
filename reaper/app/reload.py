"""SIGHUP: a daemon follows changed settings and a rotated token while its sends go on. A bad file changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio

from reaper.app.bounded import Bounded
from reaper.app.console.routes import check_admin_file
from reaper.app.descriptors import raise_limit, usable_concurrency
from reaper.app.notifier import Notifier
from reaper.app.wiring import ApiConnection, DiscoveryParts, new_client, sources_of, target_of, worker_options
from reaper.core.errors import QueueError
from reaper.core.input_facts import NO_FAULT, InputFacts
from reaper.core.rate_limit import RateLimit
from reaper.core.target import address_of
from reaper.intake.poller import Intake, Source
from reaper.queues.base import Queue
from reaper.settings.load import Loaded
from reaper.settings.schema import Settings
from reaper.settings.token_source import token_source
from reaper.telemetry import logs
from reaper.telemetry.metrics import Metrics
from reaper.worker.identity import Identity
from reaper.worker.supervisor import QUEUE_TIMEOUT_S
from reaper.worker.worker import Worker

FIXED = ("queue.url", "telemetry.listen")
"""Keys that only a restart changes (docs/commands.md)."""


@dataclass(slots=True)
class DaemonParts:
    """The parts of a daemon that a reload changes."""

    loaded: Loaded
    queue: Queue
    connection: ApiConnection
    worker: Worker
    intake: Intake
    sources: Sequence[Source]
    discovery_parts: DiscoveryParts
    new_discovery: Callable[[Settings], DiscoveryParts]
    identity: Identity
    began_with: Settings
    notifier: Notifier
    metrics: Metrics
    inputs: InputFacts = NO_FAULT
    """The state of the inputs as of the last look."""
    config_refused: str | None = None
    """Why the last reload was refused, fit to be shown; None after a good one."""
    bounded: Bounded = field(default_factory=Bounded)
    """Reads telemetry.admin_token_file: a mount that stalled costs one thread, however many reloads come."""

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    def facts(self) -> InputFacts:
        """Return the state of the settings and inputs."""
        return replace(self.inputs, config_refused=self.config_refused)


async def apply_configuration(parts: DaemonParts, loaded: Loaded) -> tuple[list[str], list[str]]:
    """Make the parts follow `loaded`; return the keys that changed, and those that only a restart will change.

    Sends in flight end by the settings they began with. Raises ConfigError, and nothing has changed then.
    """
    old, new = parts.settings, loaded.settings
    check_admin_file(new, parts.bounded)
    source = token_source(new.api, os.environ)
    elsewhere = new.api.base_url != old.api.base_url
    moved = (address_of(old.api.base_url), address_of(new.api.base_url)) if elsewhere else None
    client = new_client(new, parts.connection.credentials) if target_of(new) != target_of(old) else None
    sources = sources_of(new, parts.queue) if new.intake != old.intake else None
    discovery_parts = parts.new_discovery(new)
    hold = await _hold_of(parts.identity, address_of(new.api.base_url)) if elsewhere else None

    value = source.value.get_secret_value() if source.value else None
    token = parts.connection.credentials.read(source.file, value)

    # From here on nothing can be refused, and until the gate knows that identity has to be shown, nothing may wait:
    # a send that began in between would go to the new address unproven.
    another = parts.connection.credentials.switch_source(source.file, token, elsewhere=elsewhere)
    logs.configure(new.telemetry, secrets=parts.connection.credentials.secrets, daemon=True)
    worker, retired = parts.worker, parts.connection.client
    if client is not None:
        parts.connection.client = client
    if elsewhere:
        parts.worker.gate.hold_target(parts.worker.now(), hold)
    parts.discovery_parts = discovery_parts
    worker.reconfigure(parts.connection.client, worker_options(new), discovery_parts.preflight)
    rate = worker.gate.rate if new.worker.rate_per_s == old.worker.rate_per_s else RateLimit(new.worker.rate_per_s)
    raise_limit(new.worker.concurrency)
    worker.gate.reconfigure(
        worker.now(),
        usable_concurrency(new.worker.concurrency),
        rate,
        verify=new.api.verify,
        adaptive=new.worker.adaptive,
    )
    if another:
        worker.gate.target_changed(worker.now(), parts.connection.credentials.generation, moved=moved)
    parts.loaded = loaded
    parts.notifier.configure(new)
    worker.wake()
    if client is not None:
        await retired.retire()
    if sources is not None:
        parts.sources = sources
        await parts.intake.swap(sources, new.intake.poll_s)
    fixed = [key for key in _changed(parts.began_with, new) if key in FIXED]
    return [key for key in _changed(old, new) if key not in FIXED], fixed


async def _hold_of(identity: Identity, address: str) -> str | None:
    """Return why nothing may be sent to a new address; None when it is the queue's, or the queue keeps none."""
    try:
        with anyio.fail_after(QUEUE_TIMEOUT_S):
            other = await identity.compare_address(address)
    except (QueueError, TimeoutError) as error:
        why = str(error) or f"no answer within {QUEUE_TIMEOUT_S:g} s"
        return f"api.base_url is {address}, which could not be compared with the queue's address yet: {why}"
    return other.detail if other else None


def _changed(old: Settings, new: Settings) -> list[str]:
    """Return the dotted keys whose values differ."""
    return [
        f"{section}.{key}"
        for section in Settings.model_fields
        for key in type(getattr(old, section)).model_fields
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
    ]
