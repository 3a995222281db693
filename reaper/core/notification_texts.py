"""The words of a notification: what changed, what to do, and whose queue it is. Pure.

No session ID is in it: it may go to a chat or to a mail server. The commands that it names list them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from reaper.core.discovery.holds import HoldState
from reaper.core.model import PauseReason
from reaper.core.notices import WHAT_TO_DO
from reaper.core.notifications import Change, Kind, Notification
from reaper.core.text import escaped, format_duration, pluralize, without_tokens

MAX_CHARS = 1500
"""A text from outside is no longer than this in a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message for people. `tone` colours it where a receiver shows colours."""

    title: str
    body: str
    tone: Literal["failure", "warning", "success", "info"]

    def masked(self, mask: Callable[[str], str]) -> Message:
        """Return the message with `mask` applied to its texts."""
        return replace(self, title=mask(self.title), body=mask(self.body))


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose message it is. Each text is fit to be shown."""

    queue: str
    api: str
    reaper: str
    """Host and PID."""

    @property
    def line(self) -> str:
        return f"Queue: {self.queue}\nAPI: {self.api}\nSent by: reaper {self.reaper}"


def message_of(one: Notification, origin: Origin) -> Message:
    """Return the message about one change."""
    title, text, todo = _ended(one) if one.change is Change.ENDED else _begun(one)
    tone: Literal["failure", "warning", "success"] = (
        "success" if one.change is Change.ENDED else "warning" if one.kind in (Kind.HOLD, Kind.DEAD) else "failure"
    )
    parts = [_clean(text), f"To do: {todo}" if todo else "", origin.line]
    return Message(f"reaper: {title}", "\n".join(filter(None, parts)), tone)


def trial_message(origin: Origin) -> Message:
    """Return the message of `reaper notify test`."""
    return Message("reaper: test", f"This is a test: notifications of reaper arrive here.\n{origin.line}", "info")


def _begun(one: Notification) -> tuple[str, str, str]:
    """Return title, text and remedy of a condition that began or grew."""
    facts = one.facts
    match one.kind:
        case Kind.CREDENTIALS:
            return _paused(one, PauseReason.CREDENTIALS, "paused, credentials")
        case Kind.WRONG_TARGET:
            return _paused(one, PauseReason.WRONG_TARGET, "paused, wrong target")
        case Kind.HOLD:
            if one.hold is None:
                return "a sweep waits for you", "", "see: reaper holds"
            hold = one.hold
            ends = format_duration(hold.expires_at - facts.now)
            text = f"Hold {hold.id}: {hold.reason}. Undecided, it is void in {ends}."
            todo = f"see: reaper holds; then reaper approve {hold.id}, or reaper discard {hold.id}"
            return "a sweep waits for you", text, todo
        case Kind.DEAD:
            counts = ", ".join(f"{outcome} {count:,}" for outcome, count in sorted(facts.dead.items()) if count)
            kept = facts.stats.dead if facts.stats else 0
            count = one.more or kept
            text = f"{pluralize(kept, 'dead letter is', 'dead letters are')} kept: {counts}. They may still run."
            more = "more " if one.more else ""
            title = f"{count:,} {more}{'session' if count == 1 else 'sessions'} could not be stopped"
            return title, text, "see: reaper dead list; then: reaper dead retry, or reaper dead purge"
        case Kind.IMBALANCE:
            wrong = facts.stats.imbalance if facts.stats else 0
            todo = "keep the ledger: reaper queue backup FILE; then see: reaper audit"
            return "the accounting does not balance", f"{wrong:,} accepted and not accounted for.", todo
        case Kind.STALL:
            todo = "a restart is safe at any time; report the log from before it"
            if facts.stuck and ":" in one.key:
                hung = format_duration(max(facts.stuck.values()))
                return "stalled", f"The claim loop has not turned for {hung}.", todo
            ready = facts.stats.ready if facts.stats else 0
            due = pluralize(ready, "ID is", "IDs are")
            text = f"{due} due, nothing holds them up, and none was settled for {format_duration(facts.idle_s)}."
            return "stalled", text, "see: reaper status, and the log; " + todo
        case _ as never:
            assert_never(never)


def _ended(one: Notification) -> tuple[str, str, str]:
    """Return title, text and no remedy of a condition that is over."""
    after = f"It lasted {format_duration(one.lasted_s)}."
    match one.kind:
        case Kind.CREDENTIALS:
            return "over: paused, credentials", f"The API accepts the token. {after}", ""
        case Kind.WRONG_TARGET:
            return "over: paused, wrong target", f"The API has shown itself. {after}", ""
        case Kind.HOLD:
            return "over: a sweep waits for you", _decided(one), ""
        case Kind.DEAD:
            return "over: sessions could not be stopped", "No dead letter is left.", ""
        case Kind.IMBALANCE:
            return "over: the accounting does not balance", f"It balances. {after}", ""
        case Kind.STALL:
            return "over: stalled", f"Sessions are stopped again, or none is due. {after}", ""
        case _ as never:
            assert_never(never)


def _paused(one: Notification, reason: PauseReason, title: str) -> tuple[str, str, str]:
    detail = next((pause.detail for pause in one.facts.pauses if pause.reason is reason), "")
    return title, f"No session is stopped: {detail}", WHAT_TO_DO[reason]


def _decided(one: Notification) -> str:
    hold = one.hold
    name = one.key.partition(":")[2]
    if hold is None or hold.fate is HoldState.OPEN or hold.fate is HoldState.EXPIRED:
        return f"Hold {name} expired undecided: the next sweep judges its sessions anew."
    why = f": {hold.why}" if hold.why else ""
    return f"Hold {name} was {hold.fate.value} by {hold.by}{why}"


def _clean(text: str) -> str:
    cut = text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"
    return escaped(without_tokens(cut))
