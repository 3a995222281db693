"""Facts for the page: of a reaper at work, and changed one by one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from reaper.core.errors import QueueUnavailableError
from reaper.core.input_facts import NO_FAULT, InputFacts
from reaper.core.model import Outcome, Pause, PauseReason, Stats
from reaper.core.owners import Place, owner_name
from reaper.queues.overview import Overview
from reaper.telemetry.page.view import PageSnapshot, Process, View, Whose, view_of

NOW = 1_800_000_000.0
NASTY = "</script><script>alert(1)</script><img src=x onerror='alert(2)'> \"&amp;\N{RIGHT-TO-LEFT OVERRIDE}{{state}}"

STATS = Stats(
    ready=1200,
    scheduled=20,
    retrying=10,
    in_flight=8,
    accepted=2238,
    settled={Outcome.STOPPED: 1000},
    dead=0,
    duplicate=0,
    invalid=0,
    oldest_due_s=75,
    next_scheduled_at=NOW + 3600,
)
PROCESS = Process(
    owner=owner_name("0a", "web-1", 4711),
    place=Place("web-1", 4711),
    version="1.2.3",
    uptime_s=7200,
    in_flight=8,
    limit=32,
    pauses=(),
    proven=True,
    draining=False,
    stalled_s=0,
    counts=(*range(59), 7),
    per_minute=(96.4, 80, 2.25),
)

WHOSE = Whose(
    "https://archal.example", "sqlite:////x/reaper.db", "staging", "sudo -u reaper reaper", "--profile staging"
)


def paused(reason: PauseReason = PauseReason.CREDENTIALS, detail: str = "the token was refused (401)") -> Pause:
    return Pause(reason, NOW - 12, detail)


def view(
    whole: Overview | str | None = None,
    stats: dict[str, Any] | None = None,
    whose: Whose = WHOSE,
    inputs: InputFacts = NO_FAULT,
    **process: Any,
) -> View:
    """Return the view of the facts at work, but for what is given."""
    if whole is None:
        whole = Overview(replace(STATS, **(stats or {})), NOW)
    return view_of(PageSnapshot(NOW, replace(PROCESS, **process), whole, whose, inputs), "2027-01-15 08:00:00Z")


@dataclass
class Gate:
    in_flight: int = 3
    limit: int = 8
    proven: bool = True


@dataclass
class Health:
    why: str = ""
    unavailable_s: float = 0.0

    def mark_unavailable(self, error: QueueUnavailableError) -> None:
        self.why, self.unavailable_s = str(error), 1.0


@dataclass
class Worker:
    gate: Gate = field(default_factory=Gate)
    queue_health: Health = field(default_factory=Health)
    stalled_s: float = 0.1
    is_draining: bool = False
    held: list[Pause] = field(default_factory=list)

    def pauses(self) -> list[Pause]:
        return self.held
