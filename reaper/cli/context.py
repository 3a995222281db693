"""Load the settings, open the queue and run an async command: the first steps of each verb."""

from __future__ import annotations

import argparse
import gc
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

import anyio

from reaper.app.allocator import give_back_blocks
from reaper.app.descriptors import raise_limit, shortage
from reaper.app.event_loop import loop_factory
from reaper.app.signals import Signals
from reaper.cli.failure import describe, innermost
from reaper.cli.output import say
from reaper.core.urls import sqlite_path
from reaper.queues.base import Queue
from reaper.queues.open import Opened, open_empty_queue, open_queue
from reaper.settings.load import Loaded, load
from reaper.settings.state_dir import state_dir
from reaper.telemetry import logs

T = TypeVar("T")

CALM_COLLECTOR = (10_000, 10, 10)
"""Thresholds of the cycle collector for long work, which makes no cycles but allocates all the time: at the default of
700 it took a twelfth of the CPU of `once`."""


def loaded(args: argparse.Namespace, *, warn: bool = True) -> Loaded:
    """Return the effective settings; print their warnings if `warn`, set up logging. Raises ConfigError."""
    result = load(args.config, args.flags, profile=args.profile)
    token = result.settings.api.token
    logs.configure(
        result.settings.telemetry,
        secrets=lambda: (token.get_secret_value(),) if token else (),
        daemon=args.verb == "run",
    )
    for warning in result.warnings if warn else ():
        say(f"warning: {warning}", logging.WARNING)
    return result


def use_descriptors(settings: Loaded) -> None:
    """Raise the limit of open files as far as the work needs; print a warning where that is not allowed."""
    concurrency = settings.settings.worker.concurrency
    raise_limit(concurrency)
    if (short := shortage(concurrency)) is not None:
        say(f"warning: {short}", logging.WARNING)


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
    settings: Loaded, worker: bool = False, create: bool = True, warn: bool = False, announce: bool = True
) -> AsyncIterator[Queue]:
    """Open the queue to write; print the path of a ledger that was created, unless not to `announce` it.

    `worker`: this process will claim. `warn`: print what the engine's settings put at risk.
    """
    async with opened(settings, create=create, read_only=False, worker=worker, announce=announce) as found:
        for warning in found.warnings if warn else ():
            say(f"warning: {warning}", logging.WARNING)
        yield found.queue


@asynccontextmanager
async def opened(
    settings: Loaded,
    *,
    create: bool = False,
    read_only: bool = True,
    worker: bool = False,
    announce: bool = True,
) -> AsyncIterator[Opened]:
    """Open the queue, read-only by default, with what the engine knows of it."""
    opened = await open_queue(
        settings.settings.queue.url,
        create=create,
        read_only=read_only,
        worker=worker,
        state_dir=partial(state_dir, os.environ, settings.profile),
        inbox_after_s=settings.settings.intake.default_after_s,
    )
    if opened.created_path is not None and announce:
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


def run_async(run: Callable[..., Awaitable[T]], *args: object, fast: bool = False) -> T:
    """Run an async command; return what it returns. `fast`, for long work: on uvloop where that is installed."""
    if fast:
        gc.freeze()
        gc.set_threshold(*CALM_COLLECTOR)
        give_back_blocks()
    return anyio.run(run, *args, backend_options={"loop_factory": loop_factory(fast=fast)})


@contextmanager
def leaving_with(signals: Signals) -> Iterator[None]:
    """Let a signal end the process with the code of the error that ends the body."""
    try:
        yield
    except BaseException as error:
        signals.leave_with(describe(innermost(error))[0])
        raise
