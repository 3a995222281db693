"""The live display of a command at work: a few lines on stderr, drawn over themselves.

Import it only when a display is wanted: rich takes a tenth of a second.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import IO, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reaper.cli.output import notice_line
from reaper.cli.terminal.progress_stats import IntakeFigures, RunFigures
from reaper.core.model import Outcome
from reaper.core.notices import Notice
from reaper.core.text import format_duration, pluralize, sanitize, wrap
from reaper.core.words import OUTCOME_WORDS
from reaper.telemetry.stderr import flush_stderr

STYLES = {
    Outcome.STOPPED: "green",
    Outcome.ALREADY_GONE: "cyan",
    Outcome.FORBIDDEN: "red",
    Outcome.REJECTED: "red",
    Outcome.EXHAUSTED: "bold red",
    Outcome.PROTECTED: "blue",
    Outcome.CANCELLED: "magenta",
}
"""Colours repeat what the word says: without colour nothing is lost."""
ALARM = "bold yellow"
ARROW = "   "
"""The indent of what stands below an arrow."""
MIN_BAR = 8
MAX_BAR = 60
LEAST_LEFT_S = 0.5
"""Less is over before it is read, and would be `0 s`."""


class LiveDisplay:
    """Some lines at the foot of a terminal. With `stay` the last state remains there at the end, else nothing does.

    `screen`: a screen of its own instead; the one before it comes back at the end, and while the process is stopped or
    in the background of its shell. `is_work`: showing it is all that the command does.
    """

    def __init__(self, stream: TextIO, *, stay: bool = False, screen: bool = False, is_work: bool = True) -> None:
        self._screen = screen
        self._raises = screen and is_work
        self.console = Console(file=stream, force_terminal=True, highlight=False, emoji=False, markup=False)
        self._live = Live(
            console=self.console,
            screen=screen,
            auto_refresh=False,
            transient=not stay,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.is_shown = False

    def __enter__(self) -> Self:
        if not self._screen or is_in_foreground(self.console.file):
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _start(self) -> None:
        self._live.start()
        # rich hides the cursor; a process that is killed, or stopped with Ctrl-Z, could not give it back.
        self.console.show_cursor(not self._screen)
        self.is_shown = True

    def end(self) -> bool:
        """Give the terminal back as it was; return whether there was something to give back."""
        was_shown, self.is_shown = self.is_shown, False
        try:
            if was_shown:
                self._live.stop()
        except OSError:  # the terminal is gone
            pass
        return was_shown

    def suspend(self) -> None:
        """Give the terminal back and stop this process, as Ctrl-Z asks; `draw` goes on when it is in front again."""
        self.end()
        self.console.file.flush()
        flush_stderr()
        os.kill(os.getpid(), signal.SIGSTOP)

    def draw(self, frame: RenderableType) -> None:
        """Draw a frame over the one before it, but not from the background.

        A terminal that is gone does not stop other work; if drawing is all the work: raises OSError.
        """
        try:
            if self._screen and self.is_shown != is_in_foreground(self.console.file):
                self.end() if self.is_shown else self._start()
            if self.is_shown:
                self._live.update(frame, refresh=True)
        except OSError:
            if self._raises:
                raise

    def print_above(self, lines: str) -> None:
        """Write whole lines above the display, in their colours; no word is broken in two."""
        try:
            self.console.print(Text.from_ansi(lines.removesuffix("\n")))
        except OSError:
            pass

    def write(self, text: str) -> None:
        """Write to the terminal itself; nothing may be shown there."""
        try:
            self.console.file.write(text)
            self.console.file.flush()
        except OSError:
            pass


def is_in_foreground(stream: IO[str]) -> bool:
    """Return whether this process may draw: no shell has put it into the background of its terminal."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # a terminal that is not the one that controls this process
        return True


# --- a run --------------------------------------------------------------------------------------------------------


def run_frame(now: RunFigures, width: int) -> RenderableType:
    """Return the figures of a run in lines of at most `width` cells."""
    facts = [Text(rate(now.rate_per_s)), Text(f"{now.in_flight:,} in flight of at most {now.limit:,}")]
    if now.left_s is not None and now.left_s >= LEAST_LEFT_S and not now.stopping:
        facts.insert(1, Text(f"about {format_duration(now.left_s)} left"))
    if now.view.retrying:
        facts.append(Text(pluralize(now.view.retrying, "retry waits", "retries wait")))
    if now.earlier:
        facts.append(Text(f"{now.earlier:,} by earlier runs"))
    if now.view.scheduled:
        facts.append(Text(f"{now.view.scheduled:,} scheduled for later"))
    parts: list[RenderableType] = [
        bar(now.share, f"{now.done:,} of {now.total:,}", width),
        *flow(facts, width),
        *flow(outcomes(now.view.settled), width),
    ]
    parts += [part for notice in now.notices for part in with_what_to_do(notice, width)]
    if now.ends_in_s is not None and now.notices:
        end = f" → else this run ends in {format_duration(now.ends_in_s)}, and the rest stays queued"
        parts.append(Text(wrap(end, width, ARROW), "dim"))
    if not now.proven and not now.pauses:
        parts.append(Text(wrap("checking that this is the API; reaper sends nothing before that", width), "dim"))
    if now.stopping:
        most = "" if now.left_s is None else f" for at most {format_duration(now.left_s)}"
        end = f"stopping: reaper waits{most} for what is in flight; Ctrl-C again ends it at once"
        parts.append(Text(wrap(end, width), ALARM))
    return Group(*parts)


def outcomes(settled: dict[Outcome, int]) -> list[Text]:
    """Return `stopped 12` and so on, in their colours, for what there is."""
    return [
        Text.assemble((f"{OUTCOME_WORDS[outcome]} ", STYLES[outcome]), f"{settled[outcome]:,}")
        for outcome in Outcome
        if settled.get(outcome)
    ]


def with_what_to_do(notice: Notice, width: int) -> list[RenderableType]:
    """Return a notice and, below it, what to do, in lines of at most `width` cells."""
    line = Text(wrap(notice_line(notice), width), "dim" if notice.kind == "calm" else ALARM)
    return [line, Text(wrap(f" → {notice.what_to_do}", width, ARROW))] if notice.what_to_do else [line]


# --- taking in ----------------------------------------------------------------------------------------------------


def intake_frame(now: IntakeFigures, width: int) -> RenderableType:
    """Return the figures of an intake in lines of at most `width` cells."""
    facts = [Text(f"{now.added.accepted:,} accepted")]
    if now.added.duplicate:
        facts.append(Text(f"{now.added.duplicate:,} duplicate"))
    if now.added.invalid:
        facts.append(Text(f"{now.added.invalid:,} invalid", "red"))
    facts.append(Text(rate(now.rate_per_s)))
    if now.left_s is not None and now.share != 1:
        facts.append(Text(f"about {format_duration(now.left_s)} left"))
    head: RenderableType = Text(f"reading {sanitize(now.source)}", no_wrap=True, overflow="ellipsis")
    return Group(head, *([] if now.share is None else [bar(now.share, "of the bytes", width)]), *flow(facts, width))


# --- parts --------------------------------------------------------------------------------------------------------


def rate(per_s: float | None) -> str:
    """Return a rate in words: `148/s`, `3.2/s`, `12 a minute`."""
    if per_s is None:
        return "-/s"
    if per_s >= 9.95:
        return f"{per_s:,.0f}/s"
    return f"{per_s:.1f}/s" if per_s >= 0.95 or per_s == 0 else f"{per_s * 60:.0f} a minute"


def bar(share: float, words: str, width: int) -> RenderableType:
    """Return a bar with its percentage and words; the words alone where the bar would be too narrow."""
    # Rounded down, so that 100 % means that nothing is open.
    text = Text(f"{int(share * 100):>3} %  {words}", no_wrap=True)
    room = min(MAX_BAR, width - text.cell_len - 2)
    if room < MIN_BAR:
        return text
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(ProgressBar(total=1.0, completed=share, width=room, finished_style="green"), text)
    return grid


def flow(parts: Sequence[Text], width: int) -> Iterable[Text]:
    """Yield lines of parts with dots between, none of them broken in two."""
    line = Text()
    for part in parts:
        if line.cell_len and line.cell_len + 3 + part.cell_len > width:
            yield line
            line = Text()
        if line.cell_len:
            line.append(" · ", "dim")
        line.append_text(part)
    if line.cell_len:
        yield line
