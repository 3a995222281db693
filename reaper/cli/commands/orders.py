"""`postpone`, `cancel`: an operator's orders about IDs, named one by one or chosen many at once."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from reaper.app.operator_input import clean_reason, operator_name, session_ids
from reaper.cli.arguments import duration, instant
from reaper.cli.commands.bulk import (
    BATCH_SIZE,
    MAX_NAMED,
    WAITING,
    Choice,
    add_choice,
    carry_out,
    choose,
    in_flight_now,
    selection_of,
    states_of,
)
from reaper.cli.context import loaded, open_reading, open_writing, run_async
from reaper.cli.output import emit, emit_json, flush, say
from reaper.cli.question import DRY_RUN, confirm
from reaper.core.errors import Exit
from reaper.core.model import SessionId, State
from reaper.core.text import format_duration, pluralize
from reaper.core.words import clock_time
from reaper.queues.base import OperatorPort
from reaper.queues.values import CancelResult, PostponeResult
from reaper.settings.load import Loaded

_UNKNOWN = "unknown here: it was never added, or it was pruned or purged"
_SETTLED = "settled already; see: reaper show {id}"
_WAITING = (State.READY.value, State.SCHEDULED.value, State.RETRYING.value, WAITING)

Change = Callable[[OperatorPort, Sequence[SessionId]], Awaitable[Mapping[SessionId, StrEnum]]]


@dataclass(frozen=True, slots=True)
class Order:
    """One of the two orders. `words` say the result for one ID, `sums` for many after their number."""

    verb: str
    change: Change
    words: Mapping[str, str]
    sums: Mapping[str, str]
    planned: str
    """What a dry run says instead of the result that changes something."""
    in_flight: StrEnum
    """The result for an ID in flight."""
    done: frozenset[str]
    """The results that are no refusal."""

    def line(self, texts: Mapping[str, str], result: str, *, dry_run: bool) -> str:
        """Return the words for a result out of `words` or `sums`."""
        return self.planned if dry_run and result == "done" else texts[result]

    def predicted(self, state: str) -> str:
        """Return the result for an ID in a state."""
        match state:
            case State.IN_FLIGHT.value:
                return self.in_flight.value
            case State.SETTLED.value | "unknown":
                return state
            case _:
                return "done"


def configure_postpone(parser: argparse.ArgumentParser) -> None:
    add_choice(parser, "a waiting session ID", (State.READY, State.SCHEDULED, State.RETRYING))
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--after", type=duration, metavar="TIME", help="due after this time, as 30m or 1h30m; 0 is now")
    when.add_argument("--at", type=instant, metavar="TIME", help="due at this time, as 2030-01-31T12:00:00Z")
    parser.add_argument("--reason", metavar="TEXT", help="the reason; `show` prints it")


def run_postpone(args: argparse.Namespace) -> int:
    reason = "" if args.reason is None else clean_reason(args.reason)
    if args.at is not None:
        due = f"due at {clock_time(args.at)}"
    else:
        due = f"due in {format_duration(args.after)}" if args.after else "due now"
    order = Order(
        "postpone",
        lambda queue, ids: queue.postpone(
            ids, after_s=args.after or 0.0, at=args.at, by=operator_name(), reason=reason
        ),
        words={
            PostponeResult.DONE: due,
            PostponeResult.IN_FLIGHT: "refused: its DELETE is in flight",
            PostponeResult.SETTLED: _SETTLED,
            PostponeResult.UNKNOWN: _UNKNOWN,
        },
        sums={
            PostponeResult.DONE: due,
            PostponeResult.IN_FLIGHT: "refused: in flight",
            PostponeResult.SETTLED: "refused: settled already",
            PostponeResult.UNKNOWN: "refused: unknown here",
        },
        planned=f"would be {due}",
        in_flight=PostponeResult.IN_FLIGHT,
        done=frozenset({PostponeResult.DONE}),
    )
    return _run(args, order)


def configure_cancel(parser: argparse.ArgumentParser) -> None:
    add_choice(parser, "an open session ID", (State.READY, State.SCHEDULED, State.RETRYING, State.IN_FLIGHT))
    parser.add_argument("--reason", required=True, metavar="TEXT", help="required: the reason; `show` prints it")


def run_cancel(args: argparse.Namespace) -> int:
    reason = clean_reason(args.reason)
    order = Order(
        "cancel",
        lambda queue, ids: queue.cancel(ids, reason=reason, by=operator_name()),
        words={
            CancelResult.DONE: "cancelled: reaper sends nothing more for it",
            CancelResult.REQUESTED: "in flight: cancelled unless the reply to its DELETE is final",
            CancelResult.SETTLED: _SETTLED,
            CancelResult.UNKNOWN: _UNKNOWN,
        },
        sums={
            CancelResult.DONE: "cancelled",
            CancelResult.REQUESTED: "in flight: cancelled unless the reply to the DELETE is final",
            CancelResult.SETTLED: "refused: settled already",
            CancelResult.UNKNOWN: "refused: unknown here",
        },
        planned="would be cancelled",
        in_flight=CancelResult.REQUESTED,
        done=frozenset({CancelResult.DONE, CancelResult.REQUESTED}),
    )
    return _run(args, order)


def _run(args: argparse.Namespace, order: Order) -> int:
    selection = selection_of(args)
    if args.ids:
        return run_async(_change_named, args, loaded(args), order, session_ids(args.ids))
    settings = loaded(args)
    # Two runs of the event loop: the question waits for a person, and holds neither the queue nor Ctrl-C meanwhile.
    choice = run_async(partial(choose, settings, selection, args.inputs, quiet=args.quiet))
    tally = _Tally(order, choice)
    try:
        if args.dry_run:
            tally.predict()
        else:
            confirm(f"{order.verb} {choice.describe()}", len(choice.ids), yes=args.yes)
            tally.is_whole = run_async(partial(carry_out, settings, choice.ids, tally.change, quiet=args.quiet))
    finally:
        choice.ids.close()
    tally.report(as_json=args.json, dry_run=args.dry_run)
    return tally.exit_code


# --- IDs that were named ------------------------------------------------------------------------------------------


async def _change_named(args: argparse.Namespace, settings: Loaded, order: Order, ids: list[SessionId]) -> int:
    """Change each ID and print a line for it; return 3 when any was refused."""
    results: dict[SessionId, str] = {}
    if args.dry_run:
        async with open_reading(settings) as queue:
            states = await states_of(queue, ids, await in_flight_now(queue))
            results = {session_id: order.predicted(state) for session_id, state in states.items()}
    else:
        async with open_writing(settings, create=False) as queue:
            for start in range(0, len(ids), BATCH_SIZE):
                changed = await order.change(queue, ids[start : start + BATCH_SIZE])
                results |= {session_id: result.value for session_id, result in changed.items()}
    for session_id in ids:
        result = results[session_id]
        if args.json:
            emit_json({"session_id": session_id, "result": result} | ({"dry_run": True} if args.dry_run else {}))
        else:
            words = order.line(order.words, result, dry_run=args.dry_run)
            emit(f"{DRY_RUN if args.dry_run else ''}{session_id}: {words.format(id=session_id)}")
    return Exit.OK if order.done.issuperset(results.values()) else Exit.DEAD


# --- IDs that were chosen -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """The results of an order over chosen IDs."""

    order: Order
    choice: Choice
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[SessionId, str]] = field(default_factory=list)
    """The first that were refused, each with its result."""
    is_whole: bool = True

    async def change(self, queue: OperatorPort, ids: Sequence[SessionId]) -> None:
        """Change a batch."""
        results = await self.order.change(queue, ids)
        self.counts.update(result.value for result in results.values())
        refused = [(name, result.value) for name, result in results.items() if result not in self.order.done]
        self.refused += refused[: MAX_NAMED - len(self.refused)]

    def predict(self) -> None:
        """Count what would come of it."""
        for state, count in self.choice.states.items():
            self.counts[self.order.predicted(state)] += count

    @property
    def refusals(self) -> int:
        return sum(count for result, count in self.counts.items() if result not in self.order.done)

    @property
    def exit_code(self) -> int:
        if self.refusals or self.choice.invalid:
            return Exit.DEAD
        return Exit.OK if self.is_whole else Exit.WORK_LEFT

    def report(self, *, as_json: bool, dry_run: bool) -> None:
        """Print the counts to stdout; name the first refused IDs and lines on stderr."""
        if as_json:
            counts = {result: self.counts[result] for result in self.order.words}
            flags = {"dry_run": dry_run, "interrupted": not self.is_whole}
            refused = [{"session_id": name, "result": result} for name, result in self.refused]
            emit_json(
                {"chosen": len(self.choice.ids), **counts, "invalid": self.choice.invalid, **flags, "refused": refused}
            )
        elif not self.choice.ids:
            emit("no ID was chosen")
        else:
            for result in self.order.sums:
                if self.counts[result]:
                    words = self.order.line(self.order.sums, result, dry_run=dry_run)
                    emit(f"{DRY_RUN if dry_run else ''}{self.counts[result]:,} {words}")
            flush()
            for name, result in self.refused:
                say(f"{name}: {self.order.words[result].format(id=name)}")
            if self.refusals > len(self.refused) > 0:
                say(f"… and {self.refusals - len(self.refused):,} more that were refused")
        self.choice.report_invalid()
        if not self.is_whole:
            left = len(self.choice.ids) - self.counts.total()
            say(f"interrupted: {pluralize(left, 'ID is', 'IDs are')} left as they were; it is safe to run it again")


COMMANDS = {
    "postpone": (configure_postpone, run_postpone),
    "cancel": (configure_cancel, run_cancel),
}
