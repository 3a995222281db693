"""The intake of `reaper once`: its files and stdin, what came of them, and until when they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from reaper.app.once import MIN_BUDGET_S
from reaper.cli.commands.delayed_lists import DelayedLists
from reaper.cli.terminal.progress import ProgressMode, show_intake
from reaper.intake.events import NOTHING, add_up
from reaper.intake.inputs import Input, take_in_file
from reaper.intake.line_reader import Parsed
from reaper.queues.base import IntakePort, RunSet
from reaper.queues.values import Added
from reaper.telemetry import events, logs
from reaper.telemetry.intake_log import LineMeter, RefusedLines


@dataclass(slots=True)
class Intake:
    """The result of the intake, whole batches."""

    added: Added = NOTHING
    cut: str = ""
    """The first input that was not read to its end when its time was up."""
    refused: RefusedLines = field(default_factory=RefusedLines)
    delayed: DelayedLists = field(default_factory=DelayedLists)
    metrics: LineMeter | None = None

    def batch(self, source: str, now: Callable[[], float], added: Added, parsed: Parsed) -> None:
        self.added = add_up(self.added, added)
        if self.metrics is not None:
            self.metrics.imported(
                "stdin" if source == "stdin" else "file",
                accepted=added.accepted,
                duplicate=added.duplicate,
                invalid=added.invalid,
            )
        self.delayed.count(source, parsed, now())
        self.refused.log(source, parsed.invalid)
        for note in parsed.notes:
            logs.get().info(events.INTAKE_NOTED, source=source, note=note)

    def was_cut(self, source: str) -> None:
        self.cut = self.cut or source


def reading_ends(begun: float, budget_s: float | None) -> float:
    """Return when the reading of the inputs must end: half of the time that is left remains to stop what came."""
    now = anyio.current_time()
    return math.inf if budget_s is None else now + max(MIN_BUDGET_S, begun + budget_s - now) / 2


async def take_in(
    queue: IntakePort,
    inputs: Sequence[Input],
    taken: Intake,
    into: RunSet | None,
    mode: ProgressMode,
    stop_at: float,
) -> None:
    async with show_intake(mode, inputs, lambda: taken.added):
        for one in inputs:
            await take_in_file(
                queue,
                one,
                into=into,
                on_batch=partial(taken.batch, one.source, queue.now),
                stop_at=stop_at,
                on_cut=partial(taken.was_cut, one.source),
            )
            taken.refused.log_count(one.source)
