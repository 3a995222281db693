"""Renders log events as lines for a person: a sentence for what long commands report all the time, else its fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reaper.core.model import PauseReason
from reaper.core.notices import WHAT_TO_DO
from reaper.core.text import escaped, format_duration, pluralize, wrap
from reaper.core.words import line_place
from reaper.telemetry import events
from reaper.telemetry.structlog_without_rich import EventDict, WrappedLogger

INDENT: Final = " " * 9
"""Of a line's continuation: below what follows the time."""
DIM, BOLD, RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
LEVELS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
"""Colours of the levels that are named; they repeat what the word says."""
_NAMED = ("already_gone", "forbidden", "rejected", "exhausted")
"""Outcomes that a line of progress names."""


@dataclass(frozen=True, slots=True)
class ConsoleRenderer:
    """A structlog processor: renders an event as `12:00:00 warning api.paused reason=throttled`."""

    colors: bool
    width: Callable[[], int | None]
    """The width of the terminal; None: lines are not wrapped."""

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        rest = dict(event)
        time, level, name = (str(rest.pop(key, "")) for key in ("timestamp", "level", "event"))
        trace = rest.pop("exception", None)
        named = level if level in LEVELS else ""
        plain = " ".join(filter(None, (time, named, _said(name, rest))))
        width = self.width()
        lines = plain if width is None else wrap(plain, width, INDENT)
        if self.colors and lines.startswith(head := f"{time} {named}".rstrip()):
            color = f" {LEVELS[named]}{named}{RESET}" if named else ""
            lines = f"{DIM}{time}{RESET}{color}{lines[len(head) :]}"
        return lines if trace is None else f"{lines}\n{escaped(str(trace), keep=chr(10))}"


def console_time() -> str:
    """Return the time for the person at the terminal: local, to the second."""
    return datetime.now().strftime("%H:%M:%S")  # noqa: DTZ005


def _said(name: str, fields: Mapping[str, object]) -> str:
    """Return the event in words, made safe to show."""
    sentence = SENTENCES.get(name)
    if sentence is not None:
        return escaped(sentence(fields))
    shown = [f"{key}={_quoted(value)}" for key, value in fields.items() if value is not None and key != "detail"]
    detail = f": {escaped(str(fields['detail']))}" if fields.get("detail") else ""
    return " ".join([escaped(name), *shown]) + detail


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text) if isinstance(value, str) and (" " in text or not text.isprintable()) else escaped(text)


# --- sentences ----------------------------------------------------------------------------------------------------


def _settled(event: Mapping[str, object]) -> str:
    status = f" ({event['status']})" if event.get("status") is not None else ""
    detail = f": {event['detail']}" if event.get("detail") else ""
    earlier = ""
    if event.get("unanswered") and event.get("outcome") == "already_gone":
        sends = pluralize(int(_figure(event["unanswered"])), "earlier send", "earlier sends")
        earlier = f", after {sends} without a recorded reply"
    return f"{event.get('session_id')}: {str(event.get('outcome')).replace('_', ' ')}{status}{detail}{earlier}"


def _retried(event: Mapping[str, object]) -> str:
    why = event.get("status") or event.get("error") or "no answer"
    return f"{event.get('session_id')}: {why}, sent again in {_figure(event.get('after_s')):.1f} s"


def _progressed(event: Mapping[str, object]) -> str:
    parts = [f"{_count(event, 'done')} of {_count(event, 'total')} settled"]
    if event.get("rate_per_s") is not None:
        parts.append(f"{_figure(event['rate_per_s']):,.1f}/s")
    if event.get("left_s") is not None:
        parts.append(f"about {format_duration(_figure(event['left_s']))} left")
    if event.get("retrying"):
        parts.append(f"{_count(event, 'retrying')} waiting for another try")
    parts += [f"{_count(event, word)} {word.replace('_', ' ')}" for word in _NAMED if event.get(word)]
    paused = event.get("paused")
    parts += [f"paused: {reason}" for reason in (paused if isinstance(paused, list) else ())]
    if event.get("queue_away"):
        parts.append(f"the queue is unavailable: {event['queue_away']}")
    return ", ".join(parts)


def _read(event: Mapping[str, object]) -> str:
    share = f", {_figure(event['share']):.0%} read" if event.get("share") is not None else ""
    counts = ", ".join(
        f"{_count(event, name)} {name}" for name in ("accepted", "duplicate", "invalid") if event.get(name)
    )
    return f"reading {event.get('source')}{share}: {counts or 'nothing yet'}"


def _paused(event: Mapping[str, object]) -> str:
    reason = str(event.get("reason"))
    todo = WHAT_TO_DO[PauseReason(reason)] if reason in set(PauseReason) else ""
    return f"paused: {reason}: {event.get('detail')}" + (f"; {todo}" if todo else "")


def _resumed(event: Mapping[str, object]) -> str:
    return f"resumed after {format_duration(_figure(event.get('held_s')))}: {event.get('reason')}"


def _refused(event: Mapping[str, object]) -> str:
    place = line_place(str(event.get("source")), event.get("line"))
    return f"{place}: {event.get('text') or 'empty'}: {event.get('reason')}"


def _ready(event: Mapping[str, object]) -> str:
    return f"ready: reaper {event.get('version')}, process {event.get('pid')}, stops sessions at {event.get('api')}"


def _draining(event: Mapping[str, object]) -> str:
    within = format_duration(_figure(event.get("within_s")))
    return (
        f"stopping ({event.get('signal')}): nothing new is sent; {_count(event, 'in_flight')} in flight, waited for at "
        f"most {within}; a second signal ends it at once"
    )


def _exited(event: Mapping[str, object]) -> str:
    parts = [f"{_count(event, word)} {word}" for word in ("sends", "waiting", "dead") if word in event]
    if "ran_s" in event:
        parts.insert(0, f"ran for {format_duration(_figure(event['ran_s']))}")
    detail = f": {event['detail']}" if event.get("detail") else ""
    return f"ended with exit code {event.get('exit')}" + (f" ({', '.join(parts)})" if parts else "") + detail


def _reopened(event: Mapping[str, object]) -> str:
    ids, count = event.get("session_ids"), int(_figure(event.get("sessions")))
    named = [str(each) for each in ids] if isinstance(ids, list) else []
    more = [f"{count - len(named):,} more"] if count > len(named) else []
    return f"re-opened {pluralize(count, 'session', 'sessions')} ({', '.join(named + more)}): {event.get('detail')}"


def _figure(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _count(event: Mapping[str, object], name: str) -> str:
    return f"{_figure(event.get(name)):,.0f}"


SENTENCES: Final[Mapping[str, Callable[[Mapping[str, object]], str]]] = {
    events.SESSION_SETTLED: _settled,
    events.SESSION_RETRY_SCHEDULED: _retried,
    events.SESSION_REOPENED: _reopened,
    events.ONCE_PROGRESSED: _progressed,
    events.INTAKE_PROGRESSED: _read,
    events.INTAKE_LINE_INVALID: _refused,
    events.API_PAUSED: _paused,
    events.API_PAUSE_CHANGED: lambda event: f"still {_paused(event)}",
    events.API_RESUMED: _resumed,
    events.REAPER_READY: _ready,
    events.REAPER_DRAINING: _draining,
    events.REAPER_EXITED: _exited,
    events.TARGET_PINNED: lambda event: f"this queue is now bound to {event.get('api')}",
    events.ACCOUNT_PINNED: lambda event: f"this queue is now bound to the account {event.get('account')}",
    events.REAPER_NOTED: lambda event: str(event.get("detail")),
    events.STDERR_WRITTEN: lambda event: str(event.get("detail")),
}
