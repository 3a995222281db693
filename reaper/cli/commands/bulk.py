"""Orders over many IDs: first they are chosen and counted, then a person is asked, then they are changed in batches."""

from __future__ import annotations

import argparse
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from reaper.app.signals import call_on_signal
from reaper.cli.context import open_reading, open_writing
from reaper.cli.output import say
from reaper.cli.question import add_question_options
from reaper.cli.terminal.counter_line import CounterLine
from reaper.core.errors import QueueError, UsageError
from reaper.core.model import Outcome, SessionId, State
from reaper.core.text import pluralize
from reaper.core.words import line_place
from reaper.intake.inputs import Input, open_inputs
from reaper.intake.line_reader import Reader
from reaper.queues.base import LedgerReader, Queue
from reaper.queues.chosen_ids import ChosenIds
from reaper.queues.selection import OPEN_STATES, Selection
from reaper.queues.values import InvalidLine
from reaper.settings.load import Loaded

BATCH_SIZE = 500
"""IDs that are changed in one step."""
MAX_NAMED = 20
"""Refused IDs and lines that are named one by one; the others are counted."""
UNKNOWN, WAITING = "unknown", "waiting"
"""Stand for the states of an ID without a row, and of one whose place among those that wait was not read."""

Select = Callable[[float], Selection]
"""Returns what is chosen, given the time by the queue's clock."""


def add_choice(parser: argparse.ArgumentParser, what: str, states: Sequence[State]) -> None:
    """Add the arguments that name IDs, or that choose them by file, source and state."""
    parser.add_argument("ids", nargs="*", metavar="ID", help=what)
    many = parser.add_argument_group("instead of IDs")
    many.add_argument(
        "--from", dest="inputs", action="append", default=[], metavar="FILE", help="those in this file; - is stdin"
    )
    many.add_argument("--source", default="", metavar="TEXT", help="those whose source contains this text")
    many.add_argument(
        "--state",
        action="append",
        metavar="STATE",
        choices=[state.value for state in states],
        help=f"those in this state; may be repeated: {', '.join(states)}",
    )
    add_question_options(parser)


def selection_of(args: argparse.Namespace) -> Select | None:
    """Return what --source and --state choose, None where IDs or files are named.

    Raises UsageError unless exactly one of the three ways is used.
    """
    ways = [bool(args.ids), bool(args.inputs), bool(args.source or args.state)]
    if sum(ways) != 1:
        raise UsageError(f"{args.verb}: name IDs, or a file with --from, or choose by --source and --state")
    if not ways[2]:
        return None
    selection = Selection(frozenset(map(State, args.state)) if args.state else OPEN_STATES, source=args.source)
    return lambda now: selection


@dataclass(slots=True)
class Choice:
    """The IDs that were chosen, how many are in each state, and the lines of their files that name none."""

    ids: ChosenIds = field(default_factory=ChosenIds)
    states: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    invalid_lines: list[tuple[str, InvalidLine]] = field(default_factory=list)
    """The first of them, each with its source."""

    def describe(self) -> str:
        """Return how many they are: `3,000 IDs (12 in flight, 2,988 ready)`."""
        parts = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in sorted(self.states.items()))
        return pluralize(len(self.ids), "ID", "IDs") + (f" ({parts})" if parts else "")

    def report_invalid(self) -> None:
        """Say which lines name no ID."""
        for source, line in self.invalid_lines:
            say(f"{line_place(source, line.line)}: {line.text or 'empty'}: {line.reason}")
        if self.invalid > len(self.invalid_lines):
            say(f"… and {self.invalid - len(self.invalid_lines)} more invalid lines")


async def choose(settings: Loaded, selection: Select | None, files: Sequence[str] = (), *, quiet: bool) -> Choice:
    """Return the IDs of a selection as they are now, or those in some files.

    Raises UsageError for a file that cannot be read.
    """
    choice, counter = Choice(), CounterLine("chosen", quiet=quiet)
    with open_inputs(files) as inputs, counter:
        async with open_reading(settings) as queue:
            if selection is not None:
                await _select(queue, selection(queue.now()), choice, counter)
            for one in inputs:
                await _read(one, choice, counter)
            if inputs:
                in_flight = await in_flight_now(queue)
                for batch in choice.ids.batches(BATCH_SIZE):
                    choice.states.update((await states_of(queue, batch, in_flight)).values())
    return choice


async def _select(queue: LedgerReader, selection: Selection, choice: Choice, counter: CounterLine) -> None:
    page: list[SessionId] = []
    async for item in queue.select(selection):
        page.append(item.session_id)
        choice.states[item.outcome or item.state] += 1
        if len(page) == BATCH_SIZE:
            choice.ids.add(page)
            page.clear()
            counter.show(len(choice.ids))
    choice.ids.add(page)


async def _read(one: Input, choice: Choice, counter: CounterLine) -> None:
    reader = Reader(one.fd, one.source)
    while (parsed := await reader.next()) is not None:
        choice.ids.add(item.session_id for item in parsed.items)
        choice.invalid += len(parsed.invalid)
        more = [(one.source, line) for line in parsed.invalid]
        choice.invalid_lines += more[: MAX_NAMED - len(choice.invalid_lines)]
        for note in parsed.notes:
            say(f"{one.source}: {note}")
        counter.show(len(choice.ids))


async def in_flight_now(queue: LedgerReader) -> frozenset[SessionId]:
    """Return the IDs in flight: no more than the reapers' limits together."""
    return frozenset([item.session_id async for item in queue.select(Selection(frozenset({State.IN_FLIGHT})))])


async def states_of(
    queue: LedgerReader, ids: Sequence[SessionId], in_flight: frozenset[SessionId]
) -> dict[SessionId, str]:
    """Return the state of each ID: `in_flight`, `WAITING`, `settled` or `UNKNOWN`."""
    outcomes = await queue.outcomes_of(ids)
    return {each: _state(each, outcomes, in_flight) for each in ids}


def _state(session_id: SessionId, outcomes: Mapping[SessionId, Outcome | None], in_flight: frozenset[SessionId]) -> str:
    if session_id not in outcomes:
        return UNKNOWN
    if outcomes[session_id] is not None:
        return State.SETTLED.value
    return State.IN_FLIGHT.value if session_id in in_flight else WAITING


async def carry_out(
    settings: Loaded, ids: ChosenIds, change: Callable[[Queue, Sequence[SessionId]], Awaitable[object]], *, quiet: bool
) -> bool:
    """Change all IDs, a batch in one step each; return False when a signal ended it between two steps.

    A second signal cancels the step under way, which then has happened wholly or not at all. On an error of the queue
    it is said how far the change came.
    """
    changed = signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            group.cancel_scope.cancel()

    counter = CounterLine(f"of {len(ids):,}", quiet=quiet)
    with counter:
        async with open_writing(settings, create=False) as queue, anyio.create_task_group() as group:
            await group.start(call_on_signal, stop, signal.SIGINT, signal.SIGTERM)
            try:
                for batch in ids.batches(BATCH_SIZE):
                    if signals:
                        break
                    await change(queue, batch)
                    changed += len(batch)
                    counter.show(changed)
            except QueueError:
                counter.clear()
                say(f"{changed:,} of {len(ids):,} IDs were worked on before this; it is safe to run it again")
                raise
            finally:
                group.cancel_scope.cancel()
    return changed == len(ids)
