"""Facts for the page: of a reaper at work, and changed one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reaper.core.model import Outcome, Pause, PauseReason, Stats
from reaper.telemetry.page.view import PageSnapshot, Process, QueueSnapshot, View, view_of

NOW = 1_800_000_000.0
NASTY = "</script><script>alert(1)</script><img src=x onerror='alert(2)'> \"&amp;\N{RIGHT-TO-LEFT OVERRIDE}{{state}}"

STATS = Stats(
    ready=1200,
    delayed=30,
    in_flight=8,
    accepted=2238,
    settled={Outcome.STOPPED: 1000},
    dead=0,
    duplicate=0,
    invalid=0,
    oldest_due_s=75,
)
PROCESS = Process(
    pid=4711,
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


def paused(reason: PauseReason = PauseReason.CREDENTIALS, detail: str = "the token was refused (401)") -> Pause:
    return Pause(reason, NOW - 12, detail)


def view(whole: QueueSnapshot | str | None = None, stats: dict[str, Any] | None = None, **process: Any) -> View:
    """Return the view of the facts at work, but for what is given."""
    if whole is None:
        whole = QueueSnapshot(replace(STATS, **(stats or {})))
    return view_of(PageSnapshot(NOW, replace(PROCESS, **process), whole), "2027-01-15 08:00:00Z")
