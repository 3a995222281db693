"""What the page says of the facts: every word of it, so that the script only puts texts where they belong. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reaper.core.model import Outcome, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.notices import WHAT_TO_DO, heading
from reaper.core.text import format_duration, pluralize

UNKNOWN = "–"
SHOWN_CHARS = 300
"""What of a text from outside is shown."""
MINUTES = (1, 5, 15)


@dataclass(frozen=True, slots=True)
class Process:
    """How this reaper stands; `stalled_s` is over 0 only where its claim loop has not turned for too long."""

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
    """Settled by it, by quarter minutes, oldest first."""
    per_minute: tuple[float, ...]
    """The same as rates over the last `MINUTES`."""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """How the queue stands."""

    stats: Stats
    others: tuple[WorkerHeartbeat, ...] = ()
    """The living reapers on it, beside this one."""
    holds: int = 0
    ghosts: int = 0


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """All that the page tells, at one moment; `whole` is a sentence while the queue cannot be asked."""

    at: float
    process: Process
    whole: QueueSnapshot | str


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that wants a look. `name` says what it is without a figure that changes by itself."""

    kind: str
    name: str
    title: str
    detail: str
    todo: str


@dataclass(frozen=True, slots=True)
class View:
    """The page in texts; `texts` are those that stand alone, by the ID of their element."""

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
    notices = list(_notices(facts))
    process = facts.process
    stats = None if isinstance(facts.whole, str) else facts.whole.stats
    running = state if kind != "work" else "Running"
    texts = {
        "state": state,
        "said": ". ".join([running, *(each.name for each in notices if not running.startswith(each.name))]),
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
        notices=notices,
        outcomes=outcomes or [("none yet" if stats else "not known while the queue is away", "")],
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
        return "calm", "Ending: this reaper was told to stop"
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


def _notices(facts: PageSnapshot) -> Iterator[Notice]:
    process, whole = facts.process, facts.whole
    if isinstance(whole, str):
        todo = "nothing is lost: what became of the sends is kept until the queue is back; see the log"
        yield Notice("bad", "Queue unavailable", "Queue unavailable", clean(whole), todo)
    if process.stalled_s:
        todo = "a restart is safe at any moment; report what the log says from before"
        yield Notice(
            "bad", "Stuck", f"The claim loop has not turned for {format_duration(process.stalled_s)}", "", todo
        )
    for pause in process.pauses:
        title = f"Paused: {heading(pause, facts.at)}"
        yield Notice("warn", f"Paused: {pause.reason.value}", title, clean(pause.detail), WHAT_TO_DO[pause.reason])
    if isinstance(whole, str):
        return
    for reaper, pause in _elsewhere(process, whole):
        title = f"Paused in reaper {reaper.pid}: {heading(pause, facts.at)}"
        name = f"Paused in another reaper: {pause.reason.value}"
        yield Notice("warn", name, title, clean(pause.detail), WHAT_TO_DO[pause.reason])
    if wrong := whole.stats.imbalance:
        title = f"Imbalance: {wrong:,} accepted and not accounted for"
        yield Notice("bad", "Imbalance", title, "", "keep the ledger: reaper queue backup FILE; then see: reaper audit")
    if whole.holds:
        title = f"Held: {pluralize(whole.holds, 'sweep waits', 'sweeps wait')} for you"
        yield Notice("warn", "Held", title, "", "see: reaper holds; then reaper approve, or reaper discard")
    if whole.ghosts:
        title = (
            f"Ghosts: {pluralize(whole.ghosts, 'session lives', 'sessions live')} on though the API said it was over"
        )
        yield Notice("warn", "Ghosts", title, "", "see: reaper sessions")
    if dead := whole.stats.dead:
        title = f"Dead letters: {pluralize(dead, 'session was', 'sessions were')} given up and may still run"
        yield Notice("warn", "Dead letters", title, "", "see: reaper dead list; then reaper dead retry, or purge")


def _elsewhere(process: Process, whole: QueueSnapshot) -> Iterator[tuple[WorkerHeartbeat, Pause]]:
    """Yield what holds in other reapers only; the operator's pause is the whole queue's."""
    seen = {PauseReason.OPERATOR, *(pause.reason for pause in process.pauses)}
    for reaper in whole.others:
        for pause in reaper.pauses:
            if pause.reason not in seen:
                seen.add(pause.reason)
                yield reaper, pause


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
    own = "ending" if process.draining else _standing(process.pauses)
    in_flight = f"{process.in_flight:,} of {process.limit:,}"
    yield f"{process.pid} (this one)", format_duration(process.uptime_s), in_flight, own
    for reaper in () if isinstance(facts.whole, str) else facts.whole.others:
        runs_for = format_duration(facts.at - reaper.started_at)
        yield str(reaper.pid), runs_for, f"limit {reaper.limit:,}", _standing(reaper.pauses)


def _standing(pauses: tuple[Pause, ...]) -> str:
    return "paused: " + ", ".join(pause.reason.value for pause in pauses) if pauses else "running"


def _pace(process: Process) -> str:
    if not any(process.per_minute):
        return (
            f"none in the last {MINUTES[-1]} minutes" if process.uptime_s >= MINUTES[-1] * 60 else "none since it began"
        )
    # A rate over more time than there was would be that since the beginning, told again.
    last, *longer = zip(process.per_minute, MINUTES, strict=True)
    told = [f"{_rate(last[0])} in the last minute"]
    told += [f"{_rate(rate)} a minute over {minutes}" for rate, minutes in longer if process.uptime_s >= minutes * 60]
    return ", ".join(told) if process.uptime_s >= 60 else f"{_rate(last[0])} a minute since it began"


def _rate(per_minute: float) -> str:
    return f"{per_minute:,.0f}" if per_minute >= 9.95 or per_minute == 0 else f"{per_minute:.1f}"
