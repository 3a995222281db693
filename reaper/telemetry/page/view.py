"""Puts the facts of the page into words: every word of it, so that the script only places texts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reaper.core import notices
from reaper.core.input_facts import NO_FAULT, InputFacts
from reaper.core.model import Outcome, Pause, WorkerHeartbeat
from reaper.core.owners import Place, random_part
from reaper.core.text import format_duration, pluralize
from reaper.queues.history import HistorySlot
from reaper.queues.overview import Overview
from reaper.telemetry.page.charts import Chart, latency_chart, settled_chart

UNKNOWN = "–"
SHOWN_CHARS = 300
"""Characters of a text from outside that are shown."""
MINUTES = (1, 5, 15)


@dataclass(frozen=True, slots=True)
class Process:
    """Describes this process. `stalled_s`: for how long its claim loop has hung, 0 while it works."""

    owner: str
    place: Place
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
class Whose:
    """Says whose the page is, all of it fit to be shown, and how an operator calls this reaper's commands."""

    api: str = ""
    queue: str = ""
    instance: str = ""
    """The profile, where there is one."""
    before: str = "reaper"
    """The words before a verb, as `sudo -u reaper reaper`."""
    after: str = ""
    """The words behind a command, as `--profile staging`."""

    def command(self, words: str) -> str:
        """Return a command as the operator types it; "" for no words."""
        return " ".join(filter(None, (self.before, words, self.after))) if words else ""


class May(NamedTuple):
    """What the settings allow on the page: to show session IDs, and to act."""

    show_ids: bool
    act: bool


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """All facts of the page at one moment; `whole` is a sentence while the queue is unavailable."""

    at: float
    process: Process
    whole: Overview | str
    whose: Whose = Whose()
    inputs: InputFacts = NO_FAULT
    history: Sequence[HistorySlot] = ()

    @property
    def others(self) -> list[WorkerHeartbeat]:
        """The other live reapers on the queue."""
        workers = () if isinstance(self.whole, str) else self.whole.live_workers
        return [each for each in workers if each.owner != self.process.owner]


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as `/page.json` has it; the fields are those of `core.notices.Notice`."""

    kind: str
    name: str
    title: str
    detail: str
    todo: str
    command: str


@dataclass(frozen=True, slots=True)
class View:
    """The page in texts; `texts` are the single ones, by the ID of their element."""

    title: str
    kind: str
    texts: dict[str, str]
    notices: list[Notice]
    outcomes: list[tuple[str, str]]
    reapers: list[tuple[str, str, str, str, str]]
    counts: tuple[int, ...]
    charts: dict[str, Chart]


def view_of(facts: PageSnapshot, at: str) -> View:
    """Put facts into words; `at` is their instant as text."""
    kind, state = _state(facts)
    whose, process = facts.whose, facts.process
    found = [
        Notice(n.kind, n.name, n.title, clean(n.detail), n.what_to_do, whose.command(n.command))
        for n in _notices(facts)
    ]
    stats = None if isinstance(facts.whole, str) else facts.whole.stats
    running = state if kind != "work" else "Running"
    texts = {
        "state": state,
        "said": ". ".join([running, *(each.name for each in found if not running.startswith(each.name))]),
        **_whose(facts),
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
        title=" · ".join(filter(None, (state.partition(":")[0], texts["whose"]))),
        kind=kind,
        texts=texts,
        notices=found,
        outcomes=outcomes or [("none yet" if stats else "not known while the queue is unavailable", "")],
        reapers=_reapers(facts),
        counts=process.counts,
        charts={
            "settled": settled_chart(facts.history, facts.at),
            "latency": latency_chart(facts.history, facts.at),
        },
    )


def clean(text: str) -> str:
    """Return a text from outside as one line: printable, and not too long."""
    line = printable_only(text)
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"


def printable_only(text: str) -> str:
    """Return a text with a mark in place of each character that is not printable."""
    return (
        text
        if text.isprintable()
        else "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    )


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
    if isinstance(whole, str):
        found = notices.notices(facts.at, process.pauses, stalled_s=process.stalled_s, unavailable=whole)
    else:
        found = whole.notices_of(
            facts.at, process.pauses, others=facts.others, stalled_s=process.stalled_s, has_worker=True
        )
    return facts.inputs.notices_with(found)


def _whose(facts: PageSnapshot) -> dict[str, str]:
    whose, place, whole = facts.whose, facts.process.place, facts.whole
    account = None if isinstance(whole, str) else whole.account
    host = place.host or "this host"
    named = whose.instance or whose.api.partition("://")[2]
    return {
        "whose": clean(" · ".join(filter(None, ("reaper", named, place.host)))),
        "api": clean(whose.api or UNKNOWN),
        "account": clean(account or "not known yet"),
        "queue": clean(whose.queue or UNKNOWN),
        "host": clean(f"{host}, process {place.pid}"),
        "hosts": _hosts(facts),
    }


def _hosts(facts: PageSnapshot) -> str:
    places = [facts.process.place, *(each.place for each in facts.others)]
    hosts = len({place.host for place in places})
    return f"{pluralize(len(places), 'reaper', 'reapers')} on {pluralize(hosts, 'host', 'hosts')}"


def _figures(facts: PageSnapshot) -> dict[str, str]:
    process, whole = facts.process, facts.whole
    if isinstance(whole, str):
        unknown = dict.fromkeys(("ready", "scheduled", "retrying", "dead"), UNKNOWN)
        unknown |= dict.fromkeys(("oldest", "next_scheduled", "next_retry"), "not known now")
        return unknown | {"in_flight": f"{process.in_flight:,}", "limit": f"limit {process.limit:,}, here"}
    stats = whole.stats
    return {
        "ready": f"{stats.ready:,}",
        "oldest": f"oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else "none is due",
        "scheduled": f"{stats.scheduled:,}",
        "next_scheduled": _next(stats.next_scheduled_at, facts.at),
        "retrying": f"{stats.retrying:,}",
        "next_retry": _next(stats.next_retry_at, facts.at),
        "dead": f"{stats.dead:,}",
        "in_flight": f"{stats.in_flight:,}",
        "limit": f"limit {process.limit + sum(reaper.limit for reaper in facts.others):,}",
    }


def _reapers(facts: PageSnapshot) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each reaper, by host: this one first, then the others of its host."""
    process = facts.process
    own = "ending" if process.draining else _state_of(process.pauses)
    in_flight = f"{process.in_flight:,} of {process.limit:,}"
    runs_for = format_duration(process.uptime_s)
    rows = [(process.place.host or UNKNOWN, f"{process.place.pid} (this one)", runs_for, in_flight, own)]
    if isinstance(facts.whole, str):
        return rows
    for reaper in facts.others:
        runs_for, silent_s = format_duration(facts.at - reaper.started_at), reaper.silent_s(facts.at)
        in_flight = _of_limit(facts.whole.in_flight_of.get(random_part(reaper.owner), 0), reaper.limit)
        state = f"no heartbeat for {format_duration(silent_s)}" if silent_s else _state_of(reaper.pauses)
        rows.append((reaper.place.host or UNKNOWN, str(reaper.pid), runs_for, in_flight, state))
    return sorted(rows, key=lambda row: (row[0] != rows[0][0], row[0]))


def _of_limit(claimed: int, limit: int) -> str:
    """Return how many of its limit a reaper sends; it may have claimed more, which wait for a slot."""
    sent = f"{min(claimed, limit):,} of {limit:,}"
    return f"{sent}, {claimed - limit:,} more claimed" if claimed > limit else sent


def _next(at: float | None, now: float) -> str:
    return "none" if at is None else f"next in {format_duration(at - now)}"


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
