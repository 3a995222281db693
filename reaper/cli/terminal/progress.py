"""Shows the progress of a long command: a live display on a terminal, else a log line every half minute, or nothing.

The display needs rich, which is imported in a thread once a command has worked for a moment: a run over an empty queue
never pays for it. The queue is queried so rarely that this takes at most a hundredth of the time.
"""

from __future__ import annotations

import importlib
import math
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import to_thread

from reaper.cli.output import say
from reaper.cli.terminal.progress_stats import IntakeFigures, LiveCounts, Pace, RateMeter, RunFigures
from reaper.core.errors import QueueError
from reaper.core.model import Pause
from reaper.intake.inputs import Input
from reaper.queues.base import RunSet
from reaper.queues.values import Added
from reaper.settings.load import Loaded
from reaper.telemetry import events, logs
from reaper.telemetry.terminal import can_draw

if TYPE_CHECKING:
    from types import ModuleType

    from rich.console import RenderableType

    from reaper.worker.worker import Worker

BEFORE_S = 0.3
"""Work that is over sooner needs no display."""
DRAW_S = 0.25
LINE_S = 30.0
FIRST_LINE_S = 5.0
"""For a person the first line comes sooner: then it is known that something happens."""
REFRESH_S = 0.5
REFRESH_SHARE = 100
"""After a query of the queue, so many times its duration pass before the next: 1 % of the time at most."""


class ProgressMode(StrEnum):
    """How progress is shown."""

    LIVE = "live"
    LINES = "lines"
    NONE = "none"


def progress_mode(settings: Loaded, *, quiet: bool) -> ProgressMode:
    """Return how this command shows its progress. With JSON logs nothing but log lines may go to stderr."""
    if quiet:
        return ProgressMode.NONE
    if settings.settings.telemetry.log_format == "json" or not can_draw(sys.stderr, os.environ):
        return ProgressMode.LINES
    return ProgressMode.LIVE


def log_each_session(settings: Loaded) -> bool:
    """Return whether each session gets a log line: for a person only with `-v`."""
    return logs.writes_json() or settings.settings.telemetry.log_level == "debug"


class Subject(Protocol):
    """A long command whose progress is shown."""

    async def refresh(self) -> None:
        """Query what costs something; raises QueueError."""

    def frame(self, live: ModuleType, width: int) -> RenderableType:
        """Return the frame to draw now, made by the module `live`."""

    def log(self) -> None:
        """Log the figures as an event."""


@asynccontextmanager
async def show_progress(mode: ProgressMode, subject: Subject) -> AsyncIterator[None]:
    """Show the subject's progress while the body works; at the end the terminal is as it was."""
    if mode is ProgressMode.NONE:
        yield
        return
    async with anyio.create_task_group() as group:
        group.start_soon(_refresh, subject)
        group.start_soon(_draw if mode is ProgressMode.LIVE else _log, subject)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


async def _refresh(subject: Subject) -> None:
    while True:
        began = anyio.current_time()
        try:
            await subject.refresh()
        except QueueError:
            pass  # the worker reports it
        await anyio.sleep(max(REFRESH_S, REFRESH_SHARE * (anyio.current_time() - began)))


async def _log(subject: Subject) -> None:
    if not logs.writes_json():
        await anyio.sleep(min(FIRST_LINE_S, LINE_S))
        subject.log()
    while True:
        await anyio.sleep(LINE_S)
        subject.log()


async def _draw(subject: Subject) -> None:
    await anyio.sleep(BEFORE_S)
    live = await to_thread.run_sync(importlib.import_module, "reaper.cli.terminal.live")
    # Where stdout goes elsewhere, the last frame stays: the terminal shows nothing else of the result.
    with live.LiveDisplay(sys.stderr, stay=not sys.stdout.isatty()) as display:
        logs.divert(display.print_above)
        try:
            while True:
                display.draw(subject.frame(live, display.console.width))
                await anyio.sleep(DRAW_S)
        finally:
            display.draw(subject.frame(live, display.console.width))
            logs.divert(None)


# --- the subjects -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RunProgress:
    """A worker over a set. `counts` is the worker's meter; `earlier` of the set were settled before.

    `time_until_exit_s`: in how long the pauses, and a queue unavailable for so many seconds, end the run; None: never.
    """

    worker: Worker
    members: RunSet
    counts: LiveCounts
    time_until_exit_s: Callable[[Sequence[Pause], float], float | None] = lambda pauses, unavailable_s: None
    earlier: int = 0
    rate: RateMeter = field(default_factory=RateMeter)
    pace: Pace = field(default_factory=Pace)

    async def refresh(self) -> None:
        self.counts.refresh(await self.members.view())
        self._note()

    @property
    def figures(self) -> RunFigures:
        """The figures now; costs nothing."""
        worker, view = self.worker, self.counts.view
        pauses, unavailable_s = tuple(worker.pauses()), worker.queue_health.unavailable_s
        self._note()
        return RunFigures(
            view=view,
            in_flight=worker.gate.in_flight,
            limit=worker.gate.limit,
            sends=worker.sends,
            now=worker.clock(),
            rate_per_s=self.rate.per_s,
            pace_per_s=self.pace.per_s,
            earlier=self.earlier,
            pauses=pauses,
            proven=worker.gate.proven,
            unavailable=worker.queue_health.why if unavailable_s else None,
            ends_in_s=self.time_until_exit_s(pauses, unavailable_s),
            stopping=worker.is_draining,
            drain_left_s=worker.drain_left_s,
        )

    def _note(self) -> None:
        worker, settled = self.worker, sum(self.counts.view.settled.values())
        held = bool(worker.pauses() or worker.queue_health.unavailable_s)
        self.rate.note(worker.now(), settled)
        self.pace.note(worker.now(), settled, limit=worker.gate.limit, in_flight=worker.gate.in_flight, held=held)

    def frame(self, live: ModuleType, width: int) -> RenderableType:
        frame: RenderableType = live.run_frame(self.figures, width)
        return frame

    def log(self) -> None:
        logs.get().info(events.ONCE_PROGRESSED, **self.figures.fields())


@dataclass(slots=True)
class IntakeProgress:
    """Inputs that are being taken in; `added` returns what they brought so far."""

    inputs: Sequence[Input]
    added: Callable[[], Added]
    rate: RateMeter = field(default_factory=RateMeter)

    async def refresh(self) -> None:
        self._note()
        await anyio.sleep(math.inf)  # the queue is not queried

    @property
    def figures(self) -> IntakeFigures:
        """The figures now."""
        added = self._note()
        source, share = _read_so_far(self.inputs)
        return IntakeFigures(source, added, share, self.rate.per_s)

    def _note(self) -> Added:
        added = self.added()
        self.rate.note(anyio.current_time(), added.accepted + added.duplicate + added.invalid)
        return added

    def frame(self, live: ModuleType, width: int) -> RenderableType:
        frame: RenderableType = live.intake_frame(self.figures, width)
        return frame

    def log(self) -> None:
        logs.get().info(events.INTAKE_PROGRESSED, **self.figures.fields())


def show_intake(
    mode: ProgressMode, inputs: Sequence[Input], added: Callable[[], Added]
) -> AbstractAsyncContextManager[None]:
    """Show the progress of an intake; nothing is drawn over what a person types."""
    typed = any(os.isatty(one.fd) for one in inputs)
    if typed and mode is not ProgressMode.NONE:
        say("type session IDs, one a line; Ctrl-D ends them")
    return show_progress(ProgressMode.NONE if typed or not inputs else mode, IntakeProgress(inputs, added))


def _read_so_far(inputs: Sequence[Input]) -> tuple[str, float | None]:
    """Return the input that is being read, and the share of all bytes that was read; None unless all are files."""
    size = read = 0
    current = inputs[-1].source
    for one in reversed(inputs):
        status = os.fstat(one.fd)
        if not stat.S_ISREG(status.st_mode):
            return (inputs[0].source if len(inputs) == 1 else f"{len(inputs)} inputs"), None
        at = os.lseek(one.fd, 0, os.SEEK_CUR)
        size, read = size + status.st_size, read + min(at, status.st_size)
        if at < status.st_size:
            current = one.source
    return current, read / size if size else None
