"""The names of log events: stable, past tense; facts are fields. Operators build alerts on them."""

from __future__ import annotations

from typing import Final

REAPER_READY: Final = "reaper.ready"
REAPER_DRAINING: Final = "reaper.draining"
REAPER_EXITED: Final = "reaper.exited"
REAPER_NOTED: Final = "reaper.noted"
LOG_DROPPED: Final = "log.dropped"
EXCEPTION_IGNORED: Final = "exception.ignored"
STDERR_WRITTEN: Final = "stderr.written"
CONFIG_RELOADED: Final = "config.reloaded"
CONFIG_REFUSED: Final = "config.refused"
LISTENER_FAILED: Final = "listener.failed"
OPERATOR_ACTED: Final = "operator.acted"
OPERATOR_REFUSED: Final = "operator.refused"

INTAKE_IMPORTED: Final = "intake.imported"
INTAKE_PROGRESSED: Final = "intake.progressed"
INTAKE_LINE_INVALID: Final = "intake.line_invalid"
INTAKE_LINES_INVALID: Final = "intake.lines_invalid"
INTAKE_CLOSED: Final = "intake.closed"
INTAKE_NOTED: Final = "intake.noted"
INTAKE_FAILED: Final = "intake.failed"
INTAKE_RECOVERED: Final = "intake.recovered"

ONCE_PROGRESSED: Final = "once.progressed"

TARGET_PINNED: Final = "target.pinned"
ACCOUNT_PINNED: Final = "account.pinned"
ACCOUNT_UNTOLD: Final = "account.untold"

SWEEP_JUDGED: Final = "sweep.judged"
SWEEP_HELD: Final = "sweep.held"
SWEEP_STOPPED: Final = "sweep.stopped"

SESSION_SETTLED: Final = "session.settled"
SESSION_RETRY_SCHEDULED: Final = "session.retry_scheduled"
SESSION_LEASE_LOST: Final = "session.lease_lost"
SESSION_UNWRITTEN: Final = "session.unwritten"
SESSION_GHOST: Final = "session.ghost"
SESSION_REOPENED: Final = "session.reopened"

API_UNPROVEN: Final = "api.unproven"
API_LIST_CUT: Final = "api.list_cut"
API_PAUSED: Final = "api.paused"
API_PAUSE_CHANGED: Final = "api.pause_changed"
API_RESUMED: Final = "api.resumed"

QUEUE_UNAVAILABLE: Final = "queue.unavailable"
QUEUE_RECOVERED: Final = "queue.recovered"

NOTIFICATION_SENT: Final = "notification.sent"
NOTIFICATION_FAILED: Final = "notification.failed"
HEARTBEAT_FAILED: Final = "heartbeat.failed"
HEARTBEAT_RECOVERED: Final = "heartbeat.recovered"
