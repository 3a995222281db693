"""The board of `reaper run` on a terminal: the queue above, the latest log lines below, on a screen of its own.

At the end the old screen comes back, with the last log lines. In the background of a shell, and while it is stopped,
nothing is drawn: log lines are then written as they come.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from reaper.app.signals import call_on_signal
from reaper.cli.terminal.status_watcher import WATCH_S, StatusWatcher
from reaper.core.urls import masked_url
from reaper.queues.base import Queue
from reaper.settings.load import Loaded
from reaper.telemetry import logs
from reaper.telemetry.terminal import can_draw

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group
    from rich.segment import Segment

    from reaper.cli.terminal.live import LiveDisplay

DRAW_S = 0.25
MAX_LINES = 500
"""Log lines that are kept: more than any screen has."""
HOW_TO_END = "Ctrl-C stops reaper, twice: at once"
MIN_LOG_SHARE = 3
"""At least this part of the screen, a third, is the log's."""


def wants_board(*, quiet: bool) -> bool:
    """Return whether `run` shows its board: to a person who watches, on a terminal that can be drawn on."""
    return not quiet and not logs.writes_json() and can_draw(sys.stderr, os.environ)


@asynccontextmanager
async def shown_board(settings: Loaded, queue: Queue) -> AsyncIterator[None]:
    """Show the board while the body works; at the end the terminal is as it was."""
    watcher = StatusWatcher(masked_url(settings.settings.queue.url))
    lines = LogLines()
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.keep_fresh, queue)
        group.start_soon(_draw, watcher, lines)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


@dataclass(slots=True)
class LogLines:
    """The latest lines of the log; `changed` since they were drawn."""

    kept: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    changed: bool = True

    def add(self, lines: str) -> None:
        """Add whole lines."""
        self.kept.extend(lines.removesuffix("\n").split("\n"))
        self.changed = True


async def _draw(watcher: StatusWatcher, lines: LogLines) -> None:
    live = await to_thread.run_sync(importlib.import_module, "reaper.cli.terminal.live")
    dashboard = await to_thread.run_sync(importlib.import_module, "reaper.cli.terminal.dashboard")
    display: LiveDisplay = live.LiveDisplay(sys.stderr, screen=True, is_work=False)

    def take(text: str) -> None:
        lines.add(text)
        if not display.is_shown:
            display.write(text)

    with display:
        logs.divert(take)
        try:
            async with anyio.create_task_group() as group:
                await group.start(call_on_signal, display.suspend, signal.SIGTSTP)
                drawn: object = None
                while True:
                    console = display.console
                    state = (watcher.snapshot, watcher.unavailable, console.size, display.is_shown)
                    if lines.changed or state != drawn:
                        lines.changed = False
                        board = dashboard.dashboard_frame(
                            watcher, console.width, WATCH_S, title="reaper run", end=HOW_TO_END
                        )
                        display.draw(BoardAndLog(board, list(lines.kept)))
                        drawn = (*state[:3], display.is_shown)
                    await anyio.sleep(DRAW_S)
        finally:
            logs.divert(None)
            if display.end():
                display.write("".join(f"{line}\n" for line in list(lines.kept)[-display.console.height + 1 :]))


@dataclass(frozen=True, slots=True)
class BoardAndLog:
    """A renderable as high as the screen: as many parts of the board as have room, and as much of the log."""

    board: Group
    lines: list[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment
        from rich.style import Style
        from rich.text import Text

        height = options.height or console.height
        room = max(1, height - max(1, height // MIN_LOG_SHARE) - 1)
        below: list[list[Segment]] = []
        for line in reversed(self.lines):
            text = Text.from_ansi(line)
            below = [*console.render_lines(text, options.update(height=None), pad=False), *below]
            if len(below) >= height:
                break
        board: list[list[Segment]] = []
        for part in self.board.renderables:  # none is shown in part: half a sentence, or titles without a table
            rows = console.render_lines(part, options.update(height=None), pad=False)
            if board and len(board) + len(rows) > room:
                break
            board += rows
        while len(board) > 1 and not any(segment.text.strip() for segment in board[-1]):
            board.pop()
        left = height - len(board) - 1
        rule = [Segment("-" * options.max_width if options.ascii_only else "─" * options.max_width, Style(dim=True))]
        for number, row in enumerate([*board, rule, *below[-left:]]):
            if number:
                yield Segment.line()
            yield from row
