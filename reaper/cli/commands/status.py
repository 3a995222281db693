"""`reaper status`: the whole queue, every pause and every reaper; `--watch`: again and again."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, field

import anyio
from anyio.abc import TaskStatus

from reaper.cli.context import loaded, open_reading, run_async
from reaper.cli.output import OUTCOME_WORDS, emit, emit_json, emit_wrapped, instant, shown
from reaper.cli.terminal.progress import MIN_COLUMNS, NO_CURSOR
from reaper.cli.terminal.progress_stats import RateMeter
from reaper.core.errors import Exit, QueueUnavailableError
from reaper.core.model import Item, Outcome, Pause, PauseReason, Send, Stats, WorkerHeartbeat
from reaper.core.notices import WHAT_TO_DO, heading
from reaper.core.text import format_duration, pluralize
from reaper.core.urls import masked_url
from reaper.intake.discovery.held_sweeps import open_holds_and_ghosts
from reaper.queues.base import LedgerReader, Queue
from reaper.settings.load import Loaded

WATCH_S = 2.0
WATCH_SHARE = 20
"""A look is followed by so many times its own length without one: 5 % of the time at most, with millions of rows."""
RECENT_S = 120.0
MAX_RECENT = 300
"""So many that wait for another try, and so many that were settled since the last look, are looked at for those that
stand out."""
NAMED = 3


@dataclass(frozen=True, slots=True)
class DiscoveryCounts:
    """What discovery left for the operator: open holds, and sessions that live on."""

    holds: int = 0
    ghosts: int = 0

    def as_json(self) -> dict[str, int]:
        """Return what there is of it, so that the shape of `status --json` is SPEC 3's where there is nothing."""
        return {name: count for name, count in asdict(self).items() if count}


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """How the whole stands at one moment."""

    stats: Stats
    live_workers: list[WorkerHeartbeat]
    pauses: list[Pause]
    found: DiscoveryCounts
    now: float

    @property
    def limit(self) -> int | None:
        """The most in flight that all reapers allow together; None while none works."""
        return sum(reaper.limit for reaper in self.live_workers) if self.live_workers else None


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help=f"again every {WATCH_S:g} s, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    return run_async(_watch if args.watch else _once, args, loaded(args))


async def _once(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        _print(await look(queue), as_json=args.json)
    return Exit.OK


async def look(queue: Queue) -> QueueSnapshot:
    """Ask the queue for all of it. Raises QueueError."""
    stats, reapers, operator = await queue.stats(), await queue.live_workers(), await queue.paused()
    found = DiscoveryCounts(**await open_holds_and_ghosts(queue))
    return QueueSnapshot(stats, reapers, _pauses(reapers, operator), found, queue.now())


def _pauses(reapers: list[WorkerHeartbeat], operator: Pause | None) -> list[Pause]:
    """Return what holds anywhere, one for each reason.

    The operator's pause comes from the queue: what a reaper last told of it can be out of date.
    """
    told = {pause.reason: pause for reaper in reapers for pause in reaper.pauses}
    told.pop(PauseReason.OPERATOR, None)
    return [*([operator] if operator else []), *told.values()]


# --- printed ------------------------------------------------------------------------------------------------------


def _print(now: QueueSnapshot, *, as_json: bool) -> None:
    if as_json:
        emit_json(status_json(now))
    else:
        emit_wrapped(status_text(now), "     ")


def status_json(now: QueueSnapshot) -> dict[str, object]:
    """Return it as SPEC 3 has it."""
    stats = now.stats
    return {
        "ready": stats.ready,
        "delayed": stats.delayed,
        "in_flight": stats.in_flight,
        "dead": stats.dead,
        "settled": {outcome.value: stats.settled.get(outcome, 0) for outcome in Outcome},
        "oldest_due_s": round(stats.oldest_due_s, 3),
        "pauses": [{"reason": p.reason.value, "since": instant(p.since), "detail": p.detail} for p in now.pauses],
        "limit": now.limit,
        "imbalance": stats.imbalance,
        **now.found.as_json(),
    }


def status_text(now: QueueSnapshot) -> str:
    """Return it for people, without colour."""
    stats = now.stats
    oldest = f"   oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else ""
    lines = [
        f"ready          {stats.ready:>9}{oldest}",
        f"delayed        {stats.delayed:>9}",
        f"in flight      {stats.in_flight:>9}" + (f"   limit {now.limit}" if now.live_workers else ""),
        f"rounds settled {sum(stats.settled.values()):>9}",
        *(f"  {OUTCOME_WORDS[o]:<13}{stats.settled[o]:>9}" for o in Outcome if stats.settled.get(o)),
    ]
    if stats.dead:
        lines.append(f"dead           {stats.dead:>9}   see: reaper dead list")
    for pause in now.pauses:
        lines.append(f"PAUSED: {heading(pause, now.now)}: {shown(pause.detail)}")
        lines.append(f"  -> {WHAT_TO_DO[pause.reason]}")
    if not now.live_workers:
        lines.append(nobody_works(stats))
    lines += [
        f"reaper {r.pid}: running for {format_duration(now.now - r.started_at)}, limit {r.limit}"
        for r in now.live_workers
    ]
    return "\n".join([*lines, *warnings(now)])


def nobody_works(stats: Stats) -> str:
    """Say that no reaper works on the queue, and what to do if something waits."""
    waits = stats.ready + stats.delayed
    return "no reaper is working on this queue" + ("; start one: reaper run, or reaper once" * bool(waits))


def warnings(now: QueueSnapshot) -> list[str]:
    """Return what an operator must look at, one line each."""
    found, stats = now.found, now.stats
    lines = []
    if found.holds:
        lines.append(f"HELD: {pluralize(found.holds, 'sweep waits', 'sweeps wait')} for you; see: reaper holds")
    if found.ghosts:
        lines.append(
            f"GHOSTS: {pluralize(found.ghosts, 'session lives', 'sessions live')} on though the API said it was over; "
            "see: reaper sessions"
        )
    if stats.imbalance:
        lines.append(f"IMBALANCE: {stats.imbalance} accepted and not accounted for; see: reaper audit")
    return lines


# --- watched ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class StatusWatcher:
    """What only one who looks again and again can tell: the rate, and what stood out of late.

    All open IDs by their sends, and the slowest of all sends, no queue can tell without reading all its rows; so those
    that wait the longest for another try, and the first few that were settled since the last look, stand for them.
    """

    where: str
    pace: RateMeter = field(default_factory=lambda: RateMeter(RECENT_S))
    standing: QueueSnapshot | None = None
    trouble: str | None = None
    """Why the queue could not be asked just now."""
    looked_at: int = 0
    retried: list[Item] = field(default_factory=list)
    """Waiting for another try, the most often sent first."""
    _lately: list[Item] = field(default_factory=list)
    _since: float | None = None

    async def look(self, queue: Queue) -> None:
        """Look again; while the queue is away the last standing stays, with the trouble beside it."""
        try:
            self.standing = now = await look(queue)
            self.retried = sorted(await queue.retrying(MAX_RECENT), key=lambda item: -item.sends)[:NAMED]
            await self._look_lately(queue, now.now)
        except QueueUnavailableError as error:
            self.trouble = str(error)
            return
        self.trouble = None
        self.pace.note(now.now, sum(now.stats.settled.values()))

    async def _look_lately(self, queue: LedgerReader, now: float) -> None:
        since, self._since = self._since or now - RECENT_S, now
        seen: list[Item] = []
        async with aclosing(queue.outcomes(since=since)) as items:  # type: ignore[type-var]
            async for item in items:
                seen.append(item)
                if len(seen) == MAX_RECENT:
                    break
        kept = [item for item in [*self._lately, *seen] if (item.settled_at or 0) > now - RECENT_S]
        slow = sorted(kept, key=lambda item: -slowest(item))[:NAMED]
        often = sorted(kept, key=lambda item: -item.sends)[:NAMED]
        self.looked_at = len(seen)
        self._lately = list({item.session_id: item for item in [*slow, *often]}.values())

    @property
    def slow(self) -> list[Item]:
        """Settled of late, with the slowest sends."""
        return sorted(filter(slowest, self._lately), key=lambda item: -slowest(item))[:NAMED]

    @property
    def often(self) -> list[Item]:
        """Settled of late, with the most sends, where it took more than one."""
        return sorted((item for item in self._lately if item.sends > 1), key=lambda item: -item.sends)[:NAMED]


def slowest(item: Item) -> float:
    """Return how long the slowest of an item's sends took, 0 without any."""
    return max(map(_duration, item.history), default=0.0)


def _duration(send: Send) -> float:
    return send.duration_s


async def _watch(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue, anyio.create_task_group() as group:
        watched = StatusWatcher(masked_url(settings.settings.queue.url))
        # Before anything is drawn: whoever ends it finds the terminal as it was.
        await group.start(_until_told, group.cancel_scope.cancel)
        if not args.json and _drawn():
            from reaper.cli.terminal.dashboard import Board

            with Board(sys.stdout) as board:
                await _again(queue, watched, lambda: board.draw(watched))
        else:
            await _again(queue, watched, lambda: _repeat(watched, as_json=args.json))
    return Exit.OK


async def _again(queue: Queue, watched: StatusWatcher, tell: Callable[[], None]) -> None:
    while True:
        began = anyio.current_time()
        await watched.look(queue)
        tell()
        await anyio.sleep(max(WATCH_S, WATCH_SHARE * (anyio.current_time() - began)))


async def _until_told(end: Callable[[], None], *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            end()


def _drawn() -> bool:
    wide = shutil.get_terminal_size().columns >= MIN_COLUMNS
    return sys.stdout.isatty() and wide and os.environ.get("TERM", "") not in NO_CURSOR


def _repeat(watched: StatusWatcher, *, as_json: bool) -> None:
    if watched.trouble:
        emit_json({"trouble": watched.trouble}) if as_json else emit(f"QUEUE AWAY: {watched.trouble}\n")
    elif watched.standing is not None:
        _print(watched.standing, as_json=as_json)
        if not as_json:
            emit("")
    sys.stdout.flush()
