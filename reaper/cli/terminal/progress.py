"""What is told while a long command works: a live region on a terminal, else a log line every half minute, or nothing.

The region needs rich, which is imported in a thread once a command has worked for a moment: a run over an empty queue
never pays for it. What costs the queue something is looked at so rarely that it takes at most a hundredth of the time.
"""

from __future__ import annotations

import importlib
import math
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import to_thread

from reaper.cli.output import say
from reaper.cli.terminal.progress_stats import IntakeFigures, LiveCounts, RateMeter, RunFigures
from reaper.core.errors import QueueError
from reaper.core.model import Pause
from reaper.intake.inputs import Input
from reaper.queues.base import RunSet
from reaper.queues.values import Added
from reaper.settings.load import Loaded
from reaper.telemetry import events, logs

if TYPE_CHECKING:
    from types import ModuleType

    from rich.console import RenderableType

    from reaper.worker.worker import Worker

BEFORE_S = 0.3
"""Work that is over sooner needs no display."""
DRAW_S = 0.25
LINE_S = 30.0
REFRESH_S = 0.5
REFRESH_SHARE = 100
"""A look at the queue is followed by so many times its own length without one: 1 % of the time at most."""
MIN_COLUMNS = 40
NO_CURSOR = ("", "dumb", "unknown")
"""Values of TERM under which nothing can be drawn over itself."""


class ProgressMode(StrEnum):
    """How progress is told."""

    REGION = "region"
    LINES = "lines"
    NONE = "none"


def progress_mode(settings: Loaded, *, quiet: bool, environ: Mapping[str, str] = os.environ) -> ProgressMode:
    """Return how this command tells its progress. What asked for JSON lines gets nothing else on stderr."""
    if quiet:
        return ProgressMode.NONE
    drawn = sys.stderr.isatty() and environ.get("TERM", "") not in NO_CURSOR
    if not drawn or settings.settings.telemetry.log_format == "json" or columns() < MIN_COLUMNS:
        return ProgressMode.LINES
    return ProgressMode.REGION


def columns() -> int:
    """Return how wide the terminal is."""
    return shutil.get_terminal_size().columns


def log_each_session(settings: Loaded, way: ProgressMode) -> bool:
    """Tell whether a log line for each session goes beside this way: not under a region, unless all is asked for."""
    return way is not ProgressMode.REGION or settings.settings.telemetry.log_level == "debug"


class Subject(Protocol):
    """What progress is told of."""

    async def look(self) -> None:
        """Ask what can be asked often enough; raises QueueError."""

    def frame(self, region: ModuleType, width: int) -> RenderableType:
        """Return what to draw now."""

    def line(self) -> None:
        """Tell it as a log event."""


@asynccontextmanager
async def show_progress(way: ProgressMode, subject: Subject) -> AsyncIterator[None]:
    """Tell of the subject while the body works; at the end the terminal is as it was."""
    if way is ProgressMode.NONE:
        yield
        return
    async with anyio.create_task_group() as group:
        group.start_soon(_keep_looking, subject)
        group.start_soon(_region if way is ProgressMode.REGION else _lines, subject)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


async def _keep_looking(subject: Subject) -> None:
    while True:
        began = anyio.current_time()
        try:
            await subject.look()
        except QueueError:
            pass  # whoever works on it says so
        await anyio.sleep(max(REFRESH_S, REFRESH_SHARE * (anyio.current_time() - began)))


async def _lines(subject: Subject) -> None:
    while True:
        await anyio.sleep(LINE_S)
        subject.line()


async def _region(subject: Subject) -> None:
    await anyio.sleep(BEFORE_S)
    region = await to_thread.run_sync(importlib.import_module, "reaper.cli.terminal.live")
    # Where the summary goes elsewhere, the last state is what a person is left with.
    with region.LiveDisplay(sys.stderr, stay=not sys.stdout.isatty()) as drawn:
        logs.divert(drawn.above)
        try:
            while True:
                drawn.draw(subject.frame(region, drawn.console.width))
                await anyio.sleep(DRAW_S)
        finally:
            drawn.draw(subject.frame(region, drawn.console.width))
            logs.divert(None)


# --- the subjects -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RunProgress:
    """A worker over a set. `patience` tells how long a run goes on under the pauses, `tally` is the worker's meter."""

    worker: Worker
    members: RunSet
    tally: LiveCounts
    patience: Callable[[Sequence[Pause], float], float | None] = lambda pauses, unavailable_s: None
    pace: RateMeter = field(default_factory=RateMeter)

    async def look(self) -> None:
        self.tally.looked(await self.members.view())
        self._note()

    @property
    def figures(self) -> RunFigures:
        """How it stands now; costs nothing."""
        worker, view = self.worker, self.tally.view
        pauses, unavailable_s = tuple(worker.pauses()), worker.queue_health.unavailable_s
        self._note()
        return RunFigures(
            view=view,
            in_flight=worker.gate.in_flight,
            limit=worker.gate.limit,
            sends=worker.sends,
            now=worker.clock(),
            rate_per_s=self.pace.per_s,
            pauses=pauses,
            proven=worker.gate.proven,
            away=worker.queue_health.why if unavailable_s else None,
            ends_in_s=self.patience(pauses, unavailable_s),
            stopping=worker.is_draining,
        )

    def _note(self) -> None:
        self.pace.note(self.worker.now(), sum(self.tally.view.settled.values()))

    def frame(self, region: ModuleType, width: int) -> RenderableType:
        drawn: RenderableType = region.run_frame(self.figures, width)
        return drawn

    def line(self) -> None:
        logs.get().info(events.ONCE_PROGRESSED, **self.figures.fields())


@dataclass(slots=True)
class IntakeProgress:
    """Inputs that are being taken in; `added` tells what they brought so far."""

    inputs: Sequence[Input]
    added: Callable[[], Added]
    pace: RateMeter = field(default_factory=RateMeter)

    async def look(self) -> None:
        self._note()
        await anyio.sleep(math.inf)  # there is nothing to ask the queue for

    @property
    def figures(self) -> IntakeFigures:
        """How it stands now."""
        added = self._note()
        source, share = _read_so_far(self.inputs)
        return IntakeFigures(source, added, share, self.pace.per_s)

    def _note(self) -> Added:
        added = self.added()
        self.pace.note(anyio.current_time(), added.accepted + added.duplicate + added.invalid)
        return added

    def frame(self, region: ModuleType, width: int) -> RenderableType:
        drawn: RenderableType = region.intake_frame(self.figures, width)
        return drawn

    def line(self) -> None:
        logs.get().info(events.INTAKE_PROGRESSED, **self.figures.fields())


def show_intake(
    way: ProgressMode, inputs: Sequence[Input], added: Callable[[], Added]
) -> AbstractAsyncContextManager[None]:
    """Tell of inputs while they are taken in; nothing is drawn over what somebody types."""
    typed = any(os.isatty(one.fd) for one in inputs)
    if typed and way is not ProgressMode.NONE:
        say("type session IDs, one a line; Ctrl-D ends them")
    return show_progress(ProgressMode.NONE if typed or not inputs else way, IntakeProgress(inputs, added))


def _read_so_far(inputs: Sequence[Input]) -> tuple[str, float | None]:
    """Return which input is being read, and the share of all bytes that was, if all are files."""
    size = read = 0
    current = inputs[-1].source
    for one in reversed(inputs):
        told = os.fstat(one.fd)
        if not stat.S_ISREG(told.st_mode):
            return (inputs[0].source if len(inputs) == 1 else f"{len(inputs)} inputs"), None
        at = os.lseek(one.fd, 0, os.SEEK_CUR)
        size, read = size + told.st_size, read + min(at, told.st_size)
        if at < told.st_size:
            current = one.source
    return current, read / size if size else None
