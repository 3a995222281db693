"""Puts the facts of the page into words: every word of it, so that the script only places texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from reaper.core import notices
from reaper.core.model import Outcome, Pause, Stats, WorkerHeartbeat
from reaper.core.text import format_duration

UNKNOWN = "–"
SHOWN_CHARS = 300
"""Characters of a text from outside that are shown."""
MINUTES = (1, 5, 15)


@dataclass(frozen=True, slots=True)
class Process:
    """Describes this process. `stalled_s`: for how long its claim loop has hung, 0 while it works."""

    pid: int
    version: str
    uptime_s: float
    in_flight: int
    limit: int
    pauses: tuple[Pause, ...]
    proven: bool
    draining: bool
    stalled_s: float
    counts: tuple[int, ...]
    """Sessions it settled in each quarter minute, oldest first."""
    per_minute: tuple[float, ...]
    """The same as rates over the last `MINUTES`."""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The queue."""

    stats: Stats
    others: tuple[WorkerHeartbeat, ...] = ()
    """The other live reapers on it."""
    holds: int = 0
    ghosts: int = 0


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """All facts of the page at one moment; `whole` is a sentence while the queue is unavailable."""

    at: float
    process: Process
    whole: QueueSnapshot | str


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as `/page.json` has it; the fields are those of `core.notices.Notice`."""

    kind: str
    name: str
    title: str
    detail: str
    todo: str


@dataclass(frozen=True, slots=True)
class View:
    """The page in texts; `texts` are the single ones, by the ID of their element."""

    title: str
    kind: str
    texts: dict[str, str]
    notices: list[Notice]
    outcomes: list[tuple[str, str]]
    reapers: list[tuple[str, str, str, str]]
    counts: tuple[int, ...]


def view_of(facts: PageSnapshot, at: str) -> View:
    """Put facts into words; `at` is their instant as text."""
    kind, state = _state(facts)
    found = [Notice(n.kind, n.name, n.title, clean(n.detail), n.what_to_do) for n in _notices(facts)]
    process = facts.process
    stats = None if isinstance(facts.whole, str) else facts.whole.stats
    running = state if kind != "work" else "Running"
    texts = {
        "state": state,
        "said": ". ".join([running, *(each.name for each in found if not running.startswith(each.name))]),
        **_figures(facts),
        "pace": _pace(process),
        "most": f"at most {most:,} in 15 s" if (most := max(process.counts)) else "",
        "chart-words": f"Settled by this reaper in each quarter minute of the last 15 minutes: "
        f"{sum(process.counts):,} in all, at most {most:,} in one, {process.counts[-1]:,} in the last",
        "at": at,
        "version": process.version,
        "uptime": format_duration(process.uptime_s),
    }
    settled = stats.settled if stats else {}
    counts = [(outcome.value.replace("_", " "), settled.get(outcome, 0)) for outcome in Outcome]
    outcomes = [(words, f"{count:,}") for words, count in counts if count]
    return View(
        title=f"{state.partition(':')[0]} · reaper",
        kind=kind,
        texts=texts,
        notices=found,
        outcomes=outcomes or [("none yet" if stats else "not known while the queue is unavailable", "")],
        reapers=list(_reapers(facts)),
        counts=process.counts,
    )


def clean(text: str) -> str:
    """Return a text from outside as one line: printable, and not too long."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"


def _state(facts: PageSnapshot) -> tuple[str, str]:
    """Return the kind of state, for its colour, and its sentence: what matters most, without a figure."""
    process, whole = facts.process, facts.whole
    if process.draining:
        return "calm", "Ending: this reaper was asked to stop"
    if process.stalled_s:
        return "bad", "Stuck: this reaper claims nothing"
    if isinstance(whole, str):
        return "bad", "Queue unavailable: nothing is stopped until it is back"
    if process.pauses:
        return "warn", "Paused: " + ", ".join(pause.reason.value for pause in process.pauses)
    if not process.proven:
        return "calm", "Starting: nothing is sent before the API has answered a first read"
    if process.in_flight or whole.stats.in_flight or whole.stats.ready:
        return "work", "Working: sessions are being stopped"
    if whole.stats.delayed:
        return "work", "Waiting: nothing is due yet"
    return "work", "Idle: the queue is empty"


def _notices(facts: PageSnapshot) -> list[notices.Notice]:
    process, whole = facts.process, facts.whole
    found = partial(notices.notices, facts.at, process.pauses, stalled_s=process.stalled_s)
    if isinstance(whole, str):
        return found(unavailable=whole)
    return found(stats=whole.stats, others=whole.others, holds=whole.holds, ghosts=whole.ghosts)


def _figures(facts: PageSnapshot) -> dict[str, str]:
    process, whole = facts.process, facts.whole
    if isinstance(whole, str):
        unknown = dict.fromkeys(("ready", "delayed", "dead"), UNKNOWN) | {"oldest": "not known now"}
        return unknown | {"in_flight": f"{process.in_flight:,}", "limit": f"limit {process.limit:,}, here"}
    stats = whole.stats
    return {
        "ready": f"{stats.ready:,}",
        "oldest": f"oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else "none is due",
        "delayed": f"{stats.delayed:,}",
        "dead": f"{stats.dead:,}",
        "in_flight": f"{stats.in_flight:,}",
        "limit": f"limit {process.limit + sum(reaper.limit for reaper in whole.others):,}",
    }


def _reapers(facts: PageSnapshot) -> Iterator[tuple[str, str, str, str]]:
    process = facts.process
    own = "ending" if process.draining else _state_of(process.pauses)
    in_flight = f"{process.in_flight:,} of {process.limit:,}"
    yield f"{process.pid} (this one)", format_duration(process.uptime_s), in_flight, own
    for reaper in () if isinstance(facts.whole, str) else facts.whole.others:
        runs_for = format_duration(facts.at - reaper.started_at)
        yield str(reaper.pid), runs_for, f"limit {reaper.limit:,}", _state_of(reaper.pauses)


def _state_of(pauses: tuple[Pause, ...]) -> str:
    return "paused: " + ", ".join(pause.reason.value for pause in pauses) if pauses else "running"


def _pace(process: Process) -> str:
    if not any(process.per_minute):
        return (
            f"none in the last {MINUTES[-1]} minutes" if process.uptime_s >= MINUTES[-1] * 60 else "none since it began"
        )
    # A window longer than the uptime would repeat the rate since the beginning.
    last, *longer = zip(process.per_minute, MINUTES, strict=True)
    rates = [f"{_rate(last[0])} in the last minute"]
    rates += [f"{_rate(rate)} a minute over {minutes}" for rate, minutes in longer if process.uptime_s >= minutes * 60]
    return ", ".join(rates) if process.uptime_s >= 60 else f"{_rate(last[0])} a minute since it began"


def _rate(per_minute: float) -> str:
    return f"{per_minute:,.0f}" if per_minute >= 9.95 or per_minute == 0 else f"{per_minute:.1f}"
