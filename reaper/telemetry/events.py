"""The names of log events: stable, past tense; facts are fields. Operators build alerts on them."""

from __future__ import annotations

from typing import Final

REAPER_READY: Final = "reaper.ready"
REAPER_DRAINING: Final = "reaper.draining"
REAPER_EXITED: Final = "reaper.exited"
CONFIG_RELOADED: Final = "config.reloaded"
CONFIG_REFUSED: Final = "config.refused"
LISTENER_FAILED: Final = "listener.failed"

INTAKE_IMPORTED: Final = "intake.imported"
INTAKE_PROGRESSED: Final = "intake.progressed"
INTAKE_LINE_INVALID: Final = "intake.line_invalid"
INTAKE_CLOSED: Final = "intake.closed"
INTAKE_NOTED: Final = "intake.noted"
INTAKE_FAILED: Final = "intake.failed"
INTAKE_RECOVERED: Final = "intake.recovered"

ONCE_PROGRESSED: Final = "once.progressed"

ACCOUNT_PINNED: Final = "account.pinned"
ACCOUNT_UNTOLD: Final = "account.untold"

SWEEP_JUDGED: Final = "sweep.judged"
SWEEP_HELD: Final = "sweep.held"
SWEEP_STOPPED: Final = "sweep.stopped"

SESSION_SETTLED: Final = "session.settled"
SESSION_RETRY_SCHEDULED: Final = "session.retry_scheduled"
SESSION_LEASE_LOST: Final = "session.lease_lost"
SESSION_GHOST: Final = "session.ghost"

API_PAUSED: Final = "api.paused"
API_RESUMED: Final = "api.resumed"

QUEUE_UNAVAILABLE: Final = "queue.unavailable"
QUEUE_RECOVERED: Final = "queue.recovered"
