"""The dashboard of `reaper status --watch`: one calm screen, drawn over itself."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reaper.cli.commands.status import WATCH_S, QueueSnapshot, StatusWatcher, nobody_works, slowest, warnings
from reaper.cli.output import clock_time, describe_state, shown
from reaper.cli.terminal.live import ALARM, flow, notice, outcomes, paused, rate
from reaper.core.model import Item
from reaper.core.text import format_duration, pluralize

ROWS = 12
"""Of reapers, so that what is below stays on the screen."""
ROOMY = 60
"""From this width on, rows say why they are there; what they say beside it tells it too."""


class Board:
    """A screen of its own on a terminal; the one before comes back at the end."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream, force_terminal=True, highlight=False, emoji=False, markup=False)
        self._live = Live(
            console=self.console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def draw(self, watched: StatusWatcher) -> None:
        """Draw it anew."""
        self._live.update(board(watched, self.console.width), refresh=True)


def board(watched: StatusWatcher, width: int) -> RenderableType:
    """Return the whole screen, at most `width` cells wide."""
    now = watched.standing
    head = Text.assemble(("reaper status", "bold"), "  ", (watched.where, "dim"), no_wrap=True, overflow="ellipsis")
    if now is None:
        return Group(head, Text(), *_trouble(watched))
    when = Text(f"{clock_time(now.now)}, again every {WATCH_S:g} s; Ctrl-C ends it", "dim")
    notices: list[RenderableType] = [*_trouble(watched)]
    for pause in now.pauses:
        notices += paused(pause, now.now)
    notices += [Text(line, ALARM) for line in warnings(now)]
    parts: list[RenderableType] = [head, when, Text(), _depth(watched, now)]
    if now.stats.settled:
        parts += [Text(), *flow(outcomes(now.stats.settled), width)]
    if notices:
        parts += [Text(), *notices]
    return Group(*parts, Text(), _reapers(now), *_retried(watched, now, width), *_lately(watched, now, width))


def _trouble(watched: StatusWatcher) -> list[RenderableType]:
    if watched.trouble is None:
        return []
    return notice(
        f"QUEUE AWAY: {shown(watched.trouble)}", "it is asked again; the figures are those of its last answer"
    )


def _depth(watched: StatusWatcher, now: QueueSnapshot) -> RenderableType:
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
    grid.add_row("dead", dead, "reaper dead list" if stats.dead else "")
    pace = watched.pace
    grid.add_row(
        "settled",
        f"{done:,}",
        f"{rate(pace.per_s)} over the last {format_duration(pace.over_s)}" if pace.per_s is not None else "",
    )
    return grid


def _reapers(now: QueueSnapshot) -> RenderableType:
    if not now.live_workers:
        return Text(nobody_works(now.stats), ALARM if now.stats.ready else "dim")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("reaper")
    for column in ("running for", "told", "limit"):
        table.add_column(column, justify="right")
    table.add_column("paused", overflow="ellipsis", no_wrap=True)
    for reaper in now.live_workers[:ROWS]:
        reasons = ", ".join(pause.reason.value for pause in reaper.pauses)
        table.add_row(
            f"{reaper.pid}",
            format_duration(now.now - reaper.started_at),
            f"{format_duration(now.now - reaper.last_seen_at)} ago",
            f"{reaper.limit:,}",
            Text(reasons or "-", ALARM if reasons else ""),
        )
    more = len(now.live_workers) - ROWS
    return table if more <= 0 else Group(table, Text(f"and {more} more", "dim"))


def _retried(watched: StatusWatcher, now: QueueSnapshot, width: int) -> list[RenderableType]:
    """Return the most often sent of those that wait for another try, nothing where none does."""
    rows = [
        ("most sends", item, pluralize(item.sends, "send", "sends"), f"{_wait(item, now.now)}; last {_last(item)}")
        for item in watched.retried
    ]
    return _named("waiting for another try (a sample)", rows, width)


def _lately(watched: StatusWatcher, now: QueueSnapshot, width: int) -> list[RenderableType]:
    """Return what stood out among what was settled of late, nothing where nothing did."""
    rows = [("slowest", item, f"{slowest(item):.2f} s", describe_state(item, now.now)) for item in watched.slow]
    rows += [
        ("most sends", item, pluralize(item.sends, "send", "sends"), describe_state(item, now.now))
        for item in watched.often
    ]
    return _named("settled of late (a sample)", rows, width)


def _named(title: str, rows: list[tuple[str, Item, str, str]], width: int) -> list[RenderableType]:
    """Return a title and sessions by name: why each is told of (where there is room), its fact, how it stands."""
    if not rows:
        return []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=False)
    roomy = width >= ROOMY
    if roomy:
        table.add_column(style="dim")
    table.add_column(overflow="ellipsis", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=max(len(fact) for _, _, fact, _ in rows))
    table.add_column(overflow="ellipsis", no_wrap=True)
    last = None
    for what, item, fact, stands in rows:
        why = (what if what != last else "",) if roomy else ()
        table.add_row(*why, str(item.session_id), fact, stands)
        last = what
    return [Text(), Text(title, "dim"), table]


def _wait(item: Item, now: float) -> str:
    return f"due in {format_duration(item.due_at - now)}" if item.due_at > now else "due now"


def _last(item: Item) -> str:
    """Return what came of the last send: its status, or the kind of its failure."""
    if not item.history:
        return "unknown"
    send = item.history[-1]
    return str(send.status) if send.status else shown(send.error or "unknown").partition(":")[0]
