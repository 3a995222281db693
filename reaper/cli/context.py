"""Load the settings, open the queue and run an async command: the first steps of each verb."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec

import anyio
from anyio.abc import TaskStatus

from reaper.cli.output import say
from reaper.core.urls import sqlite_path
from reaper.queues.base import Queue
from reaper.queues.open import Opened, open_empty_queue, open_queue
from reaper.settings.load import Loaded, load
from reaper.settings.state_dir import state_dir
from reaper.telemetry import logs

CALM_COLLECTOR = (10_000, 10, 10)
"""Thresholds of the cycle collector for long work, which makes no cycles but allocates all the time: at the default of
700 it took a twelfth of the CPU of `once`."""


def loaded(args: argparse.Namespace) -> Loaded:
    """Return the effective settings; print their warnings and set up logging. Raises ConfigError."""
    result = load(args.config, args.flags)
    for warning in result.warnings:
        say(f"warning: {warning}", logging.WARNING)
    token = result.settings.api.token
    logs.configure(result.settings.telemetry, secrets=lambda: (token.get_secret_value(),) if token else ())
    return result


@asynccontextmanager
async def open_reading(settings: Loaded) -> AsyncIterator[Queue]:
    """Open the queue read-only; never creates a ledger. Raises QueueError that names the ledger."""
    async with opened(settings) as found:
        yield found.queue


@asynccontextmanager
async def open_reading_or_empty(settings: Loaded) -> AsyncIterator[Queue]:
    """Open the queue to read only; yield an empty one where there is no ledger yet, and write nothing."""
    if not no_ledger_yet(settings):
        async with open_reading(settings) as queue:
            yield queue
        return
    queue = await open_empty_queue()
    try:
        yield queue
    finally:
        with anyio.CancelScope(shield=True):
            await queue.close()


@asynccontextmanager
async def open_writing(
    settings: Loaded, worker: bool = False, create: bool = True, warn: bool = False
) -> AsyncIterator[Queue]:
    """Open the queue to write; print the path of a ledger that was created.

    `worker`: this process will claim. `warn`: print what the engine's settings put at risk.
    """
    async with opened(settings, create=create, read_only=False, worker=worker) as found:
        for warning in found.warnings if warn else ():
            say(f"warning: {warning}", logging.WARNING)
        yield found.queue


@asynccontextmanager
async def opened(
    settings: Loaded, *, create: bool = False, read_only: bool = True, worker: bool = False
) -> AsyncIterator[Opened]:
    """Open the queue, read-only by default, with what the engine knows of it."""
    opened = await open_queue(
        settings.settings.queue.url,
        create=create,
        read_only=read_only,
        worker=worker,
        state_dir=partial(state_dir, os.environ),
        inbox_after_s=settings.settings.intake.default_after_s,
    )
    if opened.created_path is not None:
        say(f"created the ledger {opened.created_path}")
    try:
        yield opened
    finally:
        with anyio.CancelScope(shield=True):
            await opened.queue.close()


def no_ledger_yet(settings: Loaded) -> bool:
    """Return whether the queue is a ledger on this machine that does not exist yet."""
    url = settings.settings.queue.url
    return url.startswith("sqlite:") and not sqlite_path(url).exists()


def run_async(run: Callable[..., Awaitable[int]], *args: object, fast: bool = False) -> int:
    """Run an async command; return its exit code. `fast`, for long work: on uvloop where that is installed."""
    options = {"use_uvloop": True} if fast and find_spec("uvloop") else {}
    if fast:
        gc.freeze()
        gc.set_threshold(*CALM_COLLECTOR)
    return anyio.run(run, *args, backend_options=options)


async def call_on_signal(
    call: Callable[[], object], *numbers: int, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Call `call` on each of these signals, until cancelled; started once they are caught."""
    with anyio.open_signal_receiver(*map(signal.Signals, numbers)) as signals:
        task_status.started()
        async for _ in signals:
            call()
