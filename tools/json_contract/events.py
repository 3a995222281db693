"""Every log event and its fields, as the lines of `telemetry.log_format=json` hold them: one table for all."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.core.discovery.policy import Rule
from reaper.core.model import Outcome
from reaper.telemetry import events
from tools.json_contract.kinds import (
    ANY,
    COUNT,
    FLAG,
    INTEGER,
    OUTCOME,
    PAUSE_REASON,
    SECONDS,
    TEXT,
    Keys,
    Schema,
    array,
    key,
    mapping,
    nullable,
    some,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its level in words, when it is logged, and its fields beside `timestamp`, `level` and `event`."""

    level: str
    text: str
    keys: Keys


_INT_OR_NULL: Schema = nullable(INTEGER)
_DETAIL = key(TEXT, "why, in words")
_SOURCE = key(TEXT, "the file, directory or command")
_ID = key(TEXT, "the session ID")
_COUNTS: Keys = {
    "accepted": key(COUNT, "new IDs"),
    "duplicate": key(COUNT, "IDs that were there before"),
    "invalid": key(COUNT, "lines that name no session"),
}
_REASON = key(PAUSE_REASON, "which pause")
_TRACE = some(TEXT, "the traceback")

EVENTS: dict[str, Event] = {
    events.REAPER_READY: Event(
        "info",
        "the daemon works",
        {
            "version": key(TEXT, "of reaper"),
            "pid": key(INTEGER, "of the process"),
            "api": key(TEXT, "the API's address"),
        },
    ),
    events.REAPER_DRAINING: Event(
        "info",
        "a signal came: nothing more is claimed",
        {
            "signal": key(TEXT, "its name"),
            "in_flight": key(COUNT, "DELETEs under way"),
            "within_s": key(SECONDS, "the longest drain"),
        },
    ),
    events.REAPER_EXITED: Event(
        "info, else warning or error",
        "the process ended, however it ended",
        {
            "exit": key(INTEGER, "the exit code"),
            "detail": some(TEXT, "why, unless all is well"),
            "error": some(TEXT, "what is wrong, where, and what to do, when an error ended it (as with `--json`)"),
            "unknown": some(array(TEXT), "the session IDs on the command line that were not found"),
            "sends": some(COUNT, "DELETEs of this process"),
            "waiting": some(COUNT, "open IDs"),
            "dead": some(COUNT, "dead letters"),
            "ran_s": some(SECONDS, "how long it ran"),
            "exception": some(TEXT, "the traceback of an internal error, with `-v`"),
        },
    ),
    events.LOG_DROPPED: Event(
        "warning",
        "so many lines were not written, because nobody took them",
        {"info": some(COUNT, "lines of level info"), "warning": some(COUNT, "lines of level warning and above")},
    ),
    events.REAPER_NOTED: Event(
        "info or warning",
        "a sentence for the operator: what a command away from JSON logs prints for a person, or what a ledger says",
        {"detail": key(TEXT, "the sentence")},
    ),
    events.EXCEPTION_IGNORED: Event(
        "error",
        "an error in a place where nothing can catch it, such as a thread",
        {"detail": key(TEXT, "where"), "exception": _TRACE},
    ),
    events.STDERR_WRITTEN: Event(
        "warning", "something else, such as a library, printed a line", {"detail": key(TEXT, "the line")}
    ),
    events.CONFIG_RELOADED: Event(
        "info",
        "a new configuration is in use",
        {
            "changed": key(array(TEXT), "settings that changed"),
            "after_restart": some(array(TEXT), "settings that only a restart changes"),
            "warnings": some(array(TEXT), "what an operator should know about it"),
        },
    ),
    events.CONFIG_REFUSED: Event(
        "error", "a reload found a bad configuration and kept the old one", {"detail": _DETAIL}
    ),
    events.LISTENER_FAILED: Event(
        "warning or error",
        "the health listener cannot listen, or a page or a connection failed",
        {"detail": _DETAIL, "page": some(TEXT, "its path")},
    ),
    events.OPERATOR_ACTED: Event(
        "info",
        "a person acts on the web page ([console.md](console.md))",
        {
            "by": key(TEXT, "the person's name in `telemetry.admin_token_file`"),
            "act": key(TEXT, "what they do, as the verb of the command line"),
            "count": key(COUNT, "the IDs that it touches"),
            "detail": key(nullable(TEXT), "the reason that they gave"),
        },
    ),
    events.OPERATOR_REFUSED: Event(
        "warning",
        "acts without a token, with a wrong one, or after too many wrong ones; at most once a minute",
        {"count": key(COUNT, "since the last such event"), "detail": key(TEXT, "why the last of them was refused")},
    ),
    events.INTAKE_IMPORTED: Event("info", "IDs of a source are in the queue", {"source": _SOURCE, **_COUNTS}),
    events.INTAKE_PROGRESSED: Event(
        "info",
        "a long input is being read",
        {
            "source": _SOURCE,
            **_COUNTS,
            "share": key(nullable(SECONDS), "0 to 1, of the input's bytes"),
            "rate_per_s": key(nullable(SECONDS), "lines a second"),
        },
    ),
    events.INTAKE_LINE_INVALID: Event(
        "warning",
        "a line names no session; the first 20 of a source, then counts",
        {
            "source": _SOURCE,
            "line": key(COUNT, "line number"),
            "reason": key(TEXT, "what is wrong, and what to do"),
            "text": key(TEXT, "the beginning of the line"),
        },
    ),
    events.INTAKE_LINES_INVALID: Event(
        "warning",
        "more lines of a source that name no session",
        {"source": _SOURCE, "lines": key(COUNT, "since the last such event")},
    ),
    events.INTAKE_CLOSED: Event(
        "info", "under `--on-term reap`: nothing more is taken in", {"hastened": key(COUNT, "IDs that were made due")}
    ),
    events.INTAKE_NOTED: Event(
        "warning, info under `once`",
        "something about a source that an operator should know: lines that were not seen, "
        "a file that is not there, a producer that does not rename ([files.md](files.md))",
        {"source": _SOURCE, "note": key(TEXT, "one sentence")},
    ),
    events.INTAKE_FAILED: Event(
        "error or warning",
        "a file, the spool, the owners, `protect.file` or a changed `api.ca_file` cannot be used",
        {"error": key(TEXT, "why"), "source": some(TEXT, "the file, directory or command")},
    ),
    events.INTAKE_RECOVERED: Event("info", "a source that failed can be used again", {"source": _SOURCE}),
    events.ONCE_PROGRESSED: Event(
        "info",
        "a long `once` goes on",
        {
            "done": key(COUNT, "settled IDs of the set"),
            "total": key(COUNT, "the set"),
            "rate_per_s": key(nullable(SECONDS), "settled a second"),
            "left_s": key(nullable(SECONDS), "about how long the rest takes; null until that can be known"),
            "in_flight": key(COUNT, "DELETEs under way"),
            "limit": key(COUNT, "DELETEs that may be in flight now"),
            "scheduled": key(COUNT, "due later, not sent yet"),
            "retrying": key(COUNT, "due later, after a send"),
            "delayed": key(COUNT, "scheduled and retrying"),
            "sends": key(COUNT, "DELETEs so far"),
            **{outcome.value: some(COUNT, "settled, by outcome") for outcome in Outcome},
            "paused": some(array(PAUSE_REASON), "what holds the run up"),
            "queue_away": some(TEXT, "why the queue cannot be used"),
        },
    ),
    events.TARGET_PINNED: Event(
        "info", "from now on the queue is for the API at this address", {"api": key(TEXT, "the address")}
    ),
    events.ACCOUNT_PINNED: Event(
        "info", "from now on the queue is for this account", {"account": key(TEXT, "its name or ID")}
    ),
    events.ACCOUNT_UNTOLD: Event(
        "warning",
        "the API does not say which account owns the token, so the account is not verified",
        {"detail": _DETAIL},
    ),
    events.SWEEP_JUDGED: Event(
        "info",
        "a list was read and judged",
        {
            **{rule.value: some(COUNT, "sessions, by the rule that decided") for rule in Rule},
            "to_stop": key(COUNT, "sessions that the policy would stop"),
            "known": key(COUNT, "of these, in the queue before"),
            "sighted": key(COUNT, "sessions without a live owner, to be seen once more"),
            "queued": key(COUNT, "added to the queue"),
            "kept_back": key(COUNT, "not added, because an open or a discarded hold keeps them"),
            "enforced": key(FLAG, "whether `discovery.enforce` is on"),
        },
    ),
    events.SWEEP_HELD: Event(
        "warning, then info",
        "a guard holds the sweep",
        {
            "hold": key(nullable(TEXT), "its ID, new or from before (null: it is not kept)"),
            "sessions": key(COUNT, "how many it holds"),
            "detail": _DETAIL,
        },
    ),
    events.SWEEP_STOPPED: Event("warning", "the list cannot be read or cannot be trusted", {"detail": _DETAIL}),
    events.SESSION_SETTLED: Event(
        "info",
        "an ID ended in its outcome",
        {
            "session_id": _ID,
            "outcome": key(OUTCOME, "how it ended"),
            "status": key(_INT_OR_NULL, "of the last answer"),
            "attempts": key(COUNT, "sends that were charged to it"),
            "duration_s": key(nullable(SECONDS), "of the last send"),
            "waited_s": key(SECONDS, "from when the ID was first due until it was settled"),
            "source": key(TEXT, "where the ID came from"),
            "request_id": key(nullable(TEXT), "of the last answer, where it has one"),
            "detail": some(TEXT, "the message of the API's error, or why it was spared"),
            "unanswered": some(
                COUNT,
                "its earlier sends without a recorded reply, where there are some: a process ended before it. One of "
                "them may have stopped a session that is `already_gone`",
            ),
        },
    ),
    events.SESSION_RETRY_SCHEDULED: Event(
        "info",
        "an ID is sent again later",
        {
            "session_id": _ID,
            "status": key(_INT_OR_NULL, "of the answer"),
            "error": key(nullable(TEXT), "why there was none; `check: …`: the check before the DELETE failed"),
            "charged": key(FLAG, "whether it counts as an attempt"),
            "after_s": key(SECONDS, "due again after so long"),
        },
    ),
    events.SESSION_LEASE_LOST: Event(
        "warning",
        "an outcome came too late to be recorded for this lease",
        {"session_id": _ID, "sends": key(COUNT, "sends of its round")},
    ),
    events.SESSION_UNWRITTEN: Event(
        "error",
        "the queue did not take these answers before reaper ended; they stay open and are sent again",
        {
            "count": key(COUNT, "how many"),
            "sessions": key(mapping(ANY), "status or error of up to 20 of them, by ID"),
            "detail": _DETAIL,
        },
    ),
    events.SESSION_GHOST: Event(
        "warning",
        "a session is still alive though the API said that it was gone",
        {"session_id": _ID, "outcome": key(OUTCOME, "as the ledger has it")},
    ),
    events.SESSION_REOPENED: Event(
        "warning",
        "sessions that a 404 called gone are stopped once more: the API's list shows them alive, or could not be read",
        {
            "sessions": key(COUNT, "how many"),
            "session_ids": key(array(TEXT), "the first 20"),
            "detail": _DETAIL,
        },
    ),
    events.API_UNPROVEN: Event(
        "warning",
        "with `api.verify=false`, so many answers of 404 or 410 came in a row; nothing can be compared with the list",
        {"answers": key(COUNT, "how many"), "detail": _DETAIL},
    ),
    events.API_LIST_CUT: Event(
        "warning",
        "the API's list is too long or goes on on another page: nothing is compared with it",
        {"bytes": key(COUNT, "that were read"), "detail": _DETAIL},
    ),
    events.API_PAUSED: Event(
        "warning",
        "reaper sends no DELETE; it still reads `GET /api/sessions`, except while `operator` or `throttled`",
        {"reason": _REASON, "detail": _DETAIL},
    ),
    events.API_PAUSE_CHANGED: Event(
        "warning",
        "a pause goes on, and what stands in its way is another thing now; at most five times in a pause",
        {"reason": _REASON, "detail": _DETAIL},
    ),
    events.API_RESUMED: Event(
        "warning", "the last pause has ended", {"reason": _REASON, "held_s": key(SECONDS, "how long")}
    ),
    events.QUEUE_UNAVAILABLE: Event("error", "the queue cannot be used; logged once", {"detail": _DETAIL}),
    events.QUEUE_RECOVERED: Event(
        "warning", "the queue can be used again", {"away_s": key(SECONDS, "how long it could not")}
    ),
    events.NOTIFICATION_SENT: Event(
        "info",
        "a receiver took a message ([notifications.md](notifications.md))",
        {
            "kind": key(TEXT, "what it is about"),
            "change": key(TEXT, "`began`, `grew` or `ended`"),
            "receiver": key(TEXT, "its place in `notify.urls`, and its scheme"),
        },
    ),
    events.NOTIFICATION_FAILED: Event(
        "warning or error",
        "a message was given up; if it surely reached nobody, it is sent again after 10 minutes. "
        "Without `kind`: no message can be sent at all, or the queue was not read in time",
        {
            "detail": _DETAIL,
            "kind": some(TEXT, "what it is about"),
            "change": some(TEXT, "`began`, `grew` or `ended`"),
            "receiver": some(TEXT, "its place in `notify.urls`, and its scheme"),
        },
    ),
    events.HEARTBEAT_FAILED: Event(
        "warning",
        "`notify.heartbeat_url` took no ping; logged once",
        {"monitor": key(TEXT, "its host"), "detail": _DETAIL},
    ),
    events.HEARTBEAT_RECOVERED: Event(
        "info", "`notify.heartbeat_url` takes pings again", {"monitor": key(TEXT, "its host")}
    ),
}
