"""The dashboard of `reaper status --watch`: one screen, drawn over itself."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reaper.cli.output import limit_words, next_due
from reaper.cli.terminal.live import ALARM, flow, outcomes, rate, with_what_to_do
from reaper.cli.terminal.status_watcher import StatusWatcher, describe_target, slowest_s
from reaper.cli.wrap import truncate
from reaper.core.model import Item
from reaper.core.owners import random_part
from reaper.core.text import escaped, format_duration, pluralize, sanitize, wrap
from reaper.core.words import NOW_S, clock_time, describe_state
from reaper.queues.overview import Overview

MAX_WORKERS = 12
"""Workers in the table, so that what is below it stays on the screen."""
ROOMY = 60
"""From this width in cells on, a row of a sample begins with the reason why it is there."""


def dashboard_frame(
    watcher: StatusWatcher, width: int, refresh_s: float, *, title: str = "reaper status", end: str = "Ctrl-C ends it"
) -> Group:
    """Return the whole screen, at most `width` cells wide.

    `title`: the command that shows it. `end`: what ends it.
    """
    now = watcher.snapshot
    queue_url = _end_of(watcher.queue_url, max(1, width - len(title) - 2))
    head = Text.assemble((title, "bold"), "  ", (queue_url, "dim"), no_wrap=True, overflow="ellipsis")
    notices = [part for notice in watcher.notices for part in with_what_to_do(notice, width)]
    if now is None:
        return Group(head, Text(), *notices)
    old = "" if watcher.unavailable is None else ", the queue's last reply"
    when = Text(wrap(f"{clock_time(now.now)}{old}, again every {refresh_s:g} s; {end}", width), "dim")
    target = Text(wrap(f"target {describe_target(now)}", width), "dim")
    parts: list[RenderableType] = [head, target, when, Text(), _depth(watcher, now, width)]
    if any(now.stats.settled.values()):
        parts += [Text(), *flow(outcomes(now.stats.settled), width)]
    if notices:
        parts += [Text(), *notices]
    return Group(*parts, *_workers(now, width), *_retried(watcher, now, width), *_recent(watcher, now, width))


def _end_of(url: str, width: int) -> str:
    """Return an address; where there is no room for it, its last parts."""
    cut = truncate(url, width, keeps_end=True)
    return cut if cut == url or "/" not in cut else f"…{cut[cut.index('/') :]}"


def _depth(watcher: StatusWatcher, now: Overview, width: int) -> RenderableType:
    stats = now.stats
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    done = sum(stats.settled.values())
    oldest = f"oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else ""
    grid.add_row("ready", Text(f"{stats.ready:,}", "bold"), oldest)
    grid.add_row("scheduled", f"{stats.scheduled:,}", next_due(stats.next_scheduled_at, now.now))
    grid.add_row("retrying", f"{stats.retrying:,}", next_due(stats.next_retry_at, now.now))
    grid.add_row("in flight", f"{stats.in_flight:,}", limit_words(stats.in_flight, now.limit))
    dead = Text(f"{stats.dead:,}", "bold red" if stats.dead else "")
    grid.add_row("dead", dead, "")
    per_s, over_s = watcher.rate.per_s, watcher.rate.over_s
    grid.add_row(
        "settled",
        f"{done:,}",
        "" if per_s is None else rate(per_s) + (f" over the last {format_duration(over_s)}" if width >= ROOMY else ""),
    )
    return grid


def _workers(now: Overview, width: int) -> list[RenderableType]:
    if not now.live_workers:
        return []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    roomy = width >= ROOMY
    table.add_column("reaper", overflow="ellipsis", no_wrap=True)
    for column in ("running for", "heartbeat", "in flight", "limit") if roomy else ("in flight", "limit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("paused", overflow="ellipsis", no_wrap=True)
    for worker in now.live_workers[:MAX_WORKERS]:
        reasons = ", ".join(pause.reason.value for pause in worker.pauses)
        heartbeat = f"{format_duration(now.now - worker.last_seen_at)} ago"
        since = (
            format_duration(now.now - worker.started_at),
            Text(heartbeat, ALARM if worker.silent_s(now.now) else ""),
        )
        table.add_row(
            str(worker.place),
            *(since if roomy else ()),
            f"{now.in_flight_of.get(random_part(worker.owner), 0):,}",
            f"{worker.limit:,}",
            Text(reasons or "-", ALARM if reasons else ""),
        )
    more = len(now.live_workers) - MAX_WORKERS
    return [Text(), table, *([Text(f"and {more} more", "dim")] if more > 0 else [])]


def _retried(watcher: StatusWatcher, now: Overview, width: int) -> list[RenderableType]:
    """Return a sample of the items that were sent and will be sent again, nothing where there is none."""
    rows = [
        ("most sends", item, pluralize(item.sends, "send", "sends"), f"{_wait(item, now.now)}; last {_last(item)}")
        for item in watcher.retried
    ]
    return _sample("to be sent again (a sample)", rows, width)


def _recent(watcher: StatusWatcher, now: Overview, width: int) -> list[RenderableType]:
    """Return a sample of the items settled recently, nothing where none stands out."""
    rows = [("slowest", item, f"{slowest_s(item):.2f} s", describe_state(item, now.now)) for item in watcher.slow]
    rows += [
        ("most sends", item, pluralize(item.sends, "send", "sends"), describe_state(item, now.now))
        for item in watcher.often
    ]
    return _sample("settled recently (a sample)", rows, width)


def _sample(title: str, rows: list[tuple[str, Item, str, str]], width: int) -> list[RenderableType]:
    """Return a title and rows: why it is there, the ID, a figure, the state; on a narrow screen two lines for each."""
    if not rows:
        return []
    head = [Text(), Text(title, "dim")]
    if width < ROOMY:
        facts = [(escaped(item.session_id), escaped(f"{figure}, {state}")) for _, item, figure, state in rows]
        return [*head, *(Text(f"{session_id}\n{wrap(f'  {fact}', width)}") for session_id, fact in facts)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="ellipsis", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True)
    last = None
    for why, item, figure, state in rows:
        table.add_row(why if why != last else "", escaped(item.session_id), escaped(figure), escaped(state))
        last = why
    return [*head, table]


def _wait(item: Item, now: float) -> str:
    return f"due in {format_duration(item.due_at - now)}" if item.due_at - now >= NOW_S else "due now"


def _last(item: Item) -> str:
    """Return the result of the last send: its status, or the kind of its failure."""
    if not item.history:
        return "unknown"
    send = item.history[-1]
    return str(send.status) if send.status else sanitize(send.error or "unknown").partition(":")[0]
