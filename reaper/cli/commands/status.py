"""`reaper status`: the whole queue, every pause and every reaper; `--watch`: again and again."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import anyio
from anyio import to_thread

from reaper.app.signals import call_on_signal
from reaper.cli.context import open_reading
from reaper.cli.output import emit, emit_json, flush, limit_words, next_due, notice_line
from reaper.cli.terminal.status_watcher import WATCH_S, StatusWatcher, describe_target
from reaper.core.errors import Exit
from reaper.core.input_facts import NO_FAULT, InputFacts
from reaper.core.model import Outcome, WorkerHeartbeat
from reaper.core.owners import random_part
from reaper.core.text import format_duration
from reaper.core.urls import masked_url
from reaper.core.words import OUTCOME_WORDS
from reaper.intake.read_inputs import read_inputs
from reaper.queues.open import disk_fault
from reaper.queues.overview import Overview, read_overview
from reaper.settings.load import Loaded
from reaper.telemetry.terminal import can_draw


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help=f"print it again every {WATCH_S:g} s, until Ctrl-C")


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    if args.watch:
        return await _watch(args, settings)
    async with open_reading(settings) as queue:
        inputs = await to_thread.run_sync(_inputs_of(settings))
        queue_url = masked_url(settings.settings.queue.url)
        print_overview(await read_overview(queue), queue_url, inputs, profile=settings.profile, as_json=args.json)
    return Exit.OK


def _inputs_of(settings: Loaded) -> Callable[[], InputFacts]:
    intake, queue_url = settings.settings.intake, settings.settings.queue.url
    return lambda: replace(read_inputs(intake.files, intake.spool_dir), disk_fault=disk_fault(queue_url))


def print_overview(
    now: Overview, queue_url: str, inputs: InputFacts = NO_FAULT, *, profile: str | None, as_json: bool
) -> None:
    if as_json:
        emit_json({**now.as_json(queue_url), **inputs.as_json(), "disk_fault": inputs.disk_fault, "profile": profile})
    else:
        lines = [f"profile    {profile}"] if profile else []
        head, blank, rest = status_text(now, queue_url, inputs).partition("\n\n")
        emit("\n".join([*lines, head]), " " * 11)
        for line in (blank[1:] + rest).split("\n"):
            count = re.match(r"[a-z ]+ {2}[\d,]+ {2}", line)
            emit(line, " " * (count.end() if count else 5))


def status_text(overview: Overview, queue_url: str, inputs: InputFacts = NO_FAULT) -> str:
    """Return the overview without colour: whose queue it is, the counts, the workers, and notices with what to do."""
    stats, now = overview.stats, overview.now
    lines = [f"queue      {queue_url}", f"target     {describe_target(overview)}", ""]
    rows = [
        ("ready", stats.ready, f"oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else ""),
        ("scheduled", stats.scheduled, next_due(stats.next_scheduled_at, now)),
        ("retrying", stats.retrying, next_due(stats.next_retry_at, now)),
        ("in flight", stats.in_flight, limit_words(stats.in_flight, overview.limit)),
        ("dead", stats.dead, ""),
        ("settled", sum(stats.settled.values()), "since the queue began"),
        *((f"  {OUTCOME_WORDS[one]}", stats.settled[one], "") for one in Outcome if stats.settled.get(one)),
    ]
    # As narrow as the figures allow: with its fact a line fits into 40 columns.
    words, digits = max(len(word) for word, _, _ in rows), max(len(f"{count:,}") for _, count, _ in rows)
    lines += [f"{word:<{words}}  {count:>{digits},}  {fact}".rstrip() for word, count, fact in rows]
    if overview.live_workers:
        lines += ["", *(_worker_line(worker, overview) for worker in overview.live_workers)]
    if found := inputs.notices_with(overview.notices):
        lines.append("")
    for notice in found:
        lines.append(notice_line(notice))
        if notice.what_to_do:
            lines.append(f"  -> {notice.what_to_do}")
    return "\n".join(lines)


def _worker_line(worker: WorkerHeartbeat, overview: Overview) -> str:
    in_flight = overview.in_flight_of.get(random_part(worker.owner), 0)
    line = f"reaper {worker.place}: running for {format_duration(overview.now - worker.started_at)}, "
    line += f"{in_flight:,} in flight, {limit_words(in_flight, worker.limit)}"
    silent_s = worker.silent_s(overview.now)
    return f"{line}; no heartbeat for {format_duration(silent_s)}" if silent_s else line


async def _watch(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue, anyio.create_task_group() as group:
        watcher = StatusWatcher(masked_url(settings.settings.queue.url), _inputs_of(settings))
        # Before anything is drawn, so that a signal leaves the terminal as it was.
        await group.start(call_on_signal, group.cancel_scope.cancel, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if not args.json and can_draw(sys.stdout, os.environ):
            from reaper.cli.terminal.dashboard import dashboard_frame
            from reaper.cli.terminal.live import LiveDisplay

            with LiveDisplay(sys.stdout, screen=True) as screen:
                draw = partial(dashboard_frame, watcher, refresh_s=WATCH_S)

                def show() -> None:
                    screen.draw(draw(screen.console.width))

                await group.start(call_on_signal, screen.suspend, signal.SIGTSTP)
                await group.start(call_on_signal, show, signal.SIGCONT, signal.SIGWINCH)
                await watcher.keep_fresh(queue, show)
        else:
            await watcher.keep_fresh(queue, lambda: _print_again(watcher, settings.profile, as_json=args.json))
    return Exit.OK


def _print_again(watcher: StatusWatcher, profile: str | None, *, as_json: bool) -> None:
    if watcher.unavailable:
        emit_json({"trouble": watcher.unavailable}) if as_json else emit(f"{notice_line(watcher.notices[0])}\n")
    elif watcher.snapshot is not None:
        print_overview(watcher.snapshot, watcher.queue_url, watcher.inputs, profile=profile, as_json=as_json)
        if not as_json:
            emit("")
    flush()
