"""The dashboard of `reaper status --watch`: one screen, drawn over itself."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reaper.cli.output import clock_time, describe_state
from reaper.cli.terminal.live import ALARM, flow, outcomes, rate, with_what_to_do
from reaper.cli.terminal.queue_snapshot import QueueSnapshot, StatusWatcher, slowest_s
from reaper.core.model import Item
from reaper.core.text import format_duration, pluralize, sanitize

MAX_WORKERS = 12
"""Workers in the table, so that what is below it stays on the screen."""
ROOMY = 60
"""From this width in cells on, a row of a sample begins with the reason why it is there."""


def dashboard_frame(watcher: StatusWatcher, width: int, refresh_s: float) -> RenderableType:
    """Return the whole screen, at most `width` cells wide."""
    now = watcher.snapshot
    head = Text.assemble(("reaper status", "bold"), "  ", (watcher.queue_url, "dim"), no_wrap=True, overflow="ellipsis")
    notices = [part for notice in watcher.notices for part in with_what_to_do(notice)]
    if now is None:
        return Group(head, Text(), *notices)
    old = "" if watcher.unavailable is None else ", the queue's last reply"
    when = Text(f"{clock_time(now.now)}{old}, again every {refresh_s:g} s; Ctrl-C ends it", "dim")
    parts: list[RenderableType] = [head, when, Text(), _depth(watcher, now)]
    if now.stats.settled:
        parts += [Text(), *flow(outcomes(now.stats.settled), width)]
    if notices:
        parts += [Text(), *notices]
    return Group(*parts, *_workers(now), *_retried(watcher, now, width), *_recent(watcher, now, width))


def _depth(watcher: StatusWatcher, now: QueueSnapshot) -> RenderableType:
    stats = now.stats
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    done = sum(stats.settled.values())
    oldest = f"oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else ""
    grid.add_row("ready", Text(f"{stats.ready:,}", "bold"), oldest)
    grid.add_row("delayed", f"{stats.delayed:,}", "")
    grid.add_row("in flight", f"{stats.in_flight:,}", "" if now.limit is None else f"limit {now.limit:,}")
    dead = Text(f"{stats.dead:,}", "bold red" if stats.dead else "")
    grid.add_row("dead", dead, "")
    per_s, over_s = watcher.rate.per_s, watcher.rate.over_s
    grid.add_row(
        "settled",
        f"{done:,}",
        f"{rate(per_s)} over the last {format_duration(over_s)}" if per_s is not None else "",
    )
    return grid


def _workers(now: QueueSnapshot) -> list[RenderableType]:
    if not now.live_workers:
        return []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("reaper")
    for column in ("running for", "heartbeat", "limit"):
        table.add_column(column, justify="right")
    table.add_column("paused", overflow="ellipsis", no_wrap=True)
    for worker in now.live_workers[:MAX_WORKERS]:
        reasons = ", ".join(pause.reason.value for pause in worker.pauses)
        table.add_row(
            f"{worker.pid}",
            format_duration(now.now - worker.started_at),
            f"{format_duration(now.now - worker.last_seen_at)} ago",
            f"{worker.limit:,}",
            Text(reasons or "-", ALARM if reasons else ""),
        )
    more = len(now.live_workers) - MAX_WORKERS
    return [Text(), table, *([Text(f"and {more} more", "dim")] if more > 0 else [])]


def _retried(watcher: StatusWatcher, now: QueueSnapshot, width: int) -> list[RenderableType]:
    """Return a sample of the items that wait for another try, nothing where none does."""
    rows = [
        ("most sends", item, pluralize(item.sends, "send", "sends"), f"{_wait(item, now.now)}; last {_last(item)}")
        for item in watcher.retried
    ]
    return _sample("waiting for another try (a sample)", rows, width)


def _recent(watcher: StatusWatcher, now: QueueSnapshot, width: int) -> list[RenderableType]:
    """Return a sample of the items settled recently, nothing where none stands out."""
    rows = [("slowest", item, f"{slowest_s(item):.2f} s", describe_state(item, now.now)) for item in watcher.slow]
    rows += [
        ("most sends", item, pluralize(item.sends, "send", "sends"), describe_state(item, now.now))
        for item in watcher.often
    ]
    return _sample("settled recently (a sample)", rows, width)


def _sample(title: str, rows: list[tuple[str, Item, str, str]], width: int) -> list[RenderableType]:
    """Return a title and a table. A row: why it is there (if there is room), the ID, a figure, the state."""
    if not rows:
        return []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=False)
    roomy = width >= ROOMY
    if roomy:
        table.add_column(style="dim")
    table.add_column(overflow="ellipsis", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=max(len(figure) for _, _, figure, _ in rows))
    table.add_column(overflow="ellipsis", no_wrap=True)
    last = None
    for why, item, figure, state in rows:
        first = (why if why != last else "",) if roomy else ()
        table.add_row(*first, str(item.session_id), figure, state)
        last = why
    return [Text(), Text(title, "dim"), table]


def _wait(item: Item, now: float) -> str:
    return f"due in {format_duration(item.due_at - now)}" if item.due_at > now else "due now"


def _last(item: Item) -> str:
    """Return the result of the last send: its status, or the kind of its failure."""
    if not item.history:
        return "unknown"
    send = item.history[-1]
    return str(send.status) if send.status else sanitize(send.error or "unknown").partition(":")[0]
