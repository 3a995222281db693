"""`reaper status`: the whole queue, every pause and every reaper; `--watch`: again and again."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial

import anyio

from reaper.cli.context import call_on_signal, open_reading
from reaper.cli.output import OUTCOME_WORDS, emit, emit_json, emit_wrapped, notice_line
from reaper.cli.terminal.progress import can_draw
from reaper.cli.terminal.queue_snapshot import QueueSnapshot, StatusWatcher, read_snapshot
from reaper.core.errors import Exit
from reaper.core.model import Outcome
from reaper.core.status import status_json
from reaper.core.text import format_duration
from reaper.core.urls import masked_url
from reaper.queues.base import Queue
from reaper.settings.load import Loaded

WATCH_S = 2.0
WATCH_SHARE = 20
"""After a refresh, so many times its duration pass before the next: with millions of rows, it takes 5 % of the time."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help=f"print it again every {WATCH_S:g} s, until Ctrl-C")


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    if args.watch:
        return await _watch(args, settings)
    async with open_reading(settings) as queue:
        _print(await read_snapshot(queue), as_json=args.json)
    return Exit.OK


def _print(now: QueueSnapshot, *, as_json: bool) -> None:
    if as_json:
        emit_json(status_json(now.stats, now.pauses, now.limit, holds=now.holds, ghosts=now.ghosts))
    else:
        emit_wrapped(status_text(now), "     ")


def status_text(snapshot: QueueSnapshot) -> str:
    """Return the snapshot without colour: the counts, the workers, and each notice with what to do."""
    stats, now = snapshot.stats, snapshot.now
    oldest = f"   oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else ""
    lines = [
        f"ready          {stats.ready:>9}{oldest}",
        f"delayed        {stats.delayed:>9}",
        f"in flight      {stats.in_flight:>9}" + ("" if snapshot.limit is None else f"   limit {snapshot.limit}"),
        f"rounds settled {sum(stats.settled.values()):>9}",
        *(f"  {OUTCOME_WORDS[o]:<13}{stats.settled[o]:>9}" for o in Outcome if stats.settled.get(o)),
    ]
    if stats.dead:
        lines.append(f"dead           {stats.dead:>9}")
    lines += [
        f"reaper {worker.pid}: running for {format_duration(now - worker.started_at)}, limit {worker.limit}"
        for worker in snapshot.live_workers
    ]
    for notice in snapshot.notices:
        lines.append(notice_line(notice))
        if notice.what_to_do:
            lines.append(f"  -> {notice.what_to_do}")
    return "\n".join(lines)


async def _watch(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue, anyio.create_task_group() as group:
        watcher = StatusWatcher(masked_url(settings.settings.queue.url))
        # Before anything is drawn, so that a signal leaves the terminal as it was.
        await group.start(call_on_signal, group.cancel_scope.cancel, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if not args.json and can_draw(sys.stdout):
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


def _print_again(watcher: StatusWatcher, *, as_json: bool) -> None:
    if watcher.unavailable:
        emit_json({"trouble": watcher.unavailable}) if as_json else emit(f"{notice_line(watcher.notices[0])}\n")
    elif watcher.snapshot is not None:
        _print(watcher.snapshot, as_json=as_json)
        if not as_json:
            emit("")
    sys.stdout.flush()
