"""What a person sees while a command works: a few lines on stderr, drawn over themselves. The only user of rich beside
`board` and `table`; imported when a display is wanted and not before, because it takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reaper.cli.output import OUTCOME_WORDS, shown
from reaper.cli.terminal.progress_stats import IntakeFigures, RunFigures
from reaper.core.model import Outcome, Pause
from reaper.core.notices import WHAT_TO_DO, heading
from reaper.core.text import format_duration, pluralize

STYLES = {
    Outcome.STOPPED: "green",
    Outcome.ALREADY_GONE: "cyan",
    Outcome.FORBIDDEN: "red",
    Outcome.REJECTED: "red",
    Outcome.EXHAUSTED: "bold red",
    Outcome.PROTECTED: "blue",
    Outcome.CANCELLED: "magenta",
}
"""A hint beside the word, never instead of it."""
ALARM = "bold yellow"
MIN_BAR = 8
MAX_BAR = 60


class LiveDisplay:
    """Some lines at the foot of a terminal. `above` puts whole lines over them, as they are; `stay` leaves the last
    state there at the end, else nothing of it stays.
    """

    def __init__(self, stream: TextIO, *, stay: bool = False) -> None:
        self.console = Console(file=stream, force_terminal=True, highlight=False, emoji=False, markup=False)
        self._live = Live(
            console=self.console,
            auto_refresh=False,
            transient=not stay,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        # rich hides the cursor; a process that is killed, or stopped with Ctrl-Z, could not give it back.
        self.console.show_cursor(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._live.stop()
        except OSError:  # the terminal is gone
            pass

    def draw(self, frame: RenderableType) -> None:
        """Draw this instead of what stood there. A terminal that is gone does not stop the work."""
        try:
            self._live.update(frame, refresh=True)
        except OSError:
            pass

    def above(self, lines: str) -> None:
        """Write whole lines above the region, in their colours; no word is broken in two."""
        try:
            self.console.print(Text.from_ansi(lines.removesuffix("\n")))
        except OSError:
            pass


# --- a run --------------------------------------------------------------------------------------------------------


def run_frame(now: RunFigures, width: int) -> RenderableType:
    """Return how a run stands in lines of at most `width` cells."""
    facts = [Text(rate(now.rate_per_s)), Text(f"{now.in_flight:,} in flight of at most {now.limit:,}")]
    if now.left_s is not None and now.done < now.total:
        facts.insert(1, Text(f"about {format_duration(now.left_s)} left"))
    if now.view.retrying:
        facts.append(Text(pluralize(now.view.retrying, "retry waits", "retries wait")))
    if now.view.delayed:
        facts.append(Text(f"{now.view.delayed:,} due later"))
    parts: list[RenderableType] = [
        bar(now.share, f"{now.done:,} of {now.total:,}", width),
        *flow(facts, width),
        *flow(outcomes(now.view.settled), width),
    ]
    if now.away:
        parts += notice(
            f"QUEUE AWAY: {shown(now.away)}", "nothing to do: what became of the sends is kept until it is back"
        )
    for pause in now.pauses:
        parts += paused(pause, now.now)
    if now.ends_in_s is not None and (now.pauses or now.away):
        parts.append(
            Text(f" → else this run ends in {format_duration(now.ends_in_s)}, and the rest stays queued", "dim")
        )
    if not now.proven and not now.pauses:
        parts.append(Text("asking the API who it is; nothing is sent before", "dim"))
    if now.stopping:
        parts.append(Text("stopping: what is in flight ends first; Ctrl-C again leaves at once", ALARM))
    return Group(*parts)


def outcomes(settled: dict[Outcome, int]) -> list[Text]:
    """Return `stopped 12` and so on, in their colours, for what there is."""
    return [
        Text.assemble((f"{OUTCOME_WORDS[outcome]} ", STYLES[outcome]), f"{settled[outcome]:,}")
        for outcome in Outcome
        if settled.get(outcome)
    ]


def paused(pause: Pause, now: float) -> list[RenderableType]:
    """Return a pause with what to do about it."""
    return notice(f"PAUSED: {heading(pause, now)}: {shown(pause.detail)}", WHAT_TO_DO[pause.reason])


def notice(what: str, to_do: str) -> list[RenderableType]:
    """Return a thing that a person should know, and below it what to do."""
    arrow = Table.grid(padding=(0, 1, 0, 0))
    arrow.add_row(" →", to_do)
    return [Text(what, ALARM), arrow]


# --- taking in ----------------------------------------------------------------------------------------------------


def intake_frame(now: IntakeFigures, width: int) -> RenderableType:
    """Return how far a reading of inputs is."""
    facts = [Text(f"{now.added.accepted:,} accepted")]
    if now.added.duplicate:
        facts.append(Text(f"{now.added.duplicate:,} duplicate"))
    if now.added.invalid:
        facts.append(Text(f"{now.added.invalid:,} invalid", "red"))
    facts.append(Text(rate(now.rate_per_s)))
    if now.left_s is not None and now.share != 1:
        facts.append(Text(f"about {format_duration(now.left_s)} left"))
    head: RenderableType = Text(f"reading {shown(now.source)}", no_wrap=True, overflow="ellipsis")
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
    """Return a bar with its percentage and words, the words alone where it is too narrow."""
    # Rounded down: 100 % is said when nothing is left.
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
