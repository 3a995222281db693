"""`reaper status`: the whole queue, every pause and every reaper; `--watch`: again and again."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial

import anyio
from anyio.abc import TaskStatus

from reaper.cli.context import loaded, open_reading, run_async
from reaper.cli.output import emit, emit_json, emit_wrapped, notice_line
from reaper.cli.terminal.progress import MIN_COLUMNS, NO_CURSOR
from reaper.cli.terminal.queue_snapshot import QueueSnapshot, StatusWatcher, read_snapshot
from reaper.cli.terminal.status_text import status_text
from reaper.core.errors import Exit
from reaper.core.status import status_json
from reaper.core.urls import masked_url
from reaper.queues.base import Queue
from reaper.settings.load import Loaded

WATCH_S = 2.0
WATCH_SHARE = 20
"""After a refresh, so many times its duration pass before the next: with millions of rows, it takes 5 % of the time."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help=f"print it again every {WATCH_S:g} s, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    return run_async(_watch if args.watch else _once, args, loaded(args))


async def _once(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        _print(await read_snapshot(queue), as_json=args.json)
    return Exit.OK


def _print(now: QueueSnapshot, *, as_json: bool) -> None:
    if as_json:
        emit_json(status_json(now.stats, now.pauses, now.limit, holds=now.holds, ghosts=now.ghosts))
    else:
        emit_wrapped(status_text(now), "     ")


async def _watch(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue, anyio.create_task_group() as group:
        watcher = StatusWatcher(masked_url(settings.settings.queue.url))
        # Before anything is drawn, so that a signal leaves the terminal as it was.
        await group.start(_cancel_on_signal, group.cancel_scope.cancel)
        if not args.json and _can_draw():
            from reaper.cli.terminal.dashboard import dashboard_frame
            from reaper.cli.terminal.live import LiveDisplay

            with LiveDisplay(sys.stdout, screen=True) as screen:
                draw = partial(dashboard_frame, watcher, refresh_s=WATCH_S)
                await _repeat(queue, watcher, lambda: screen.draw(draw(screen.console.width)))
        else:
            await _repeat(queue, watcher, lambda: _print_again(watcher, as_json=args.json))
    return Exit.OK


async def _repeat(queue: Queue, watcher: StatusWatcher, show: Callable[[], None]) -> None:
    while True:
        began = anyio.current_time()
        await watcher.refresh(queue)
        show()
        await anyio.sleep(max(WATCH_S, WATCH_SHARE * (anyio.current_time() - began)))


async def _cancel_on_signal(cancel: Callable[[], None], *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            cancel()


def _can_draw() -> bool:
    wide = shutil.get_terminal_size().columns >= MIN_COLUMNS
    return sys.stdout.isatty() and wide and os.environ.get("TERM", "") not in NO_CURSOR


def _print_again(watcher: StatusWatcher, *, as_json: bool) -> None:
    if watcher.unavailable:
        emit_json({"trouble": watcher.unavailable}) if as_json else emit(f"{notice_line(watcher.notices[0])}\n")
    elif watcher.snapshot is not None:
        _print(watcher.snapshot, as_json=as_json)
        if not as_json:
            emit("")
    sys.stdout.flush()
