"""Every document that `--json` prints: one table, whose length is that of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reaper.core.model import Outcome
from reaper.queues.values import CancelResult, PostponeResult
from tools.json_contract.kinds import (
    ACTION,
    ANY,
    COUNT,
    FLAG,
    INSTANT,
    INTEGER,
    OUTCOME,
    PAUSE_REASON,
    RULE,
    SECONDS,
    STATE,
    TEXT,
    Keys,
    array,
    key,
    mapping,
    nullable,
    per_outcome,
    record,
    some,
)


@dataclass(frozen=True, slots=True)
class Document:
    """What one command prints under `--json`: one object, or with `lines` one for each thing it lists."""

    command: str
    keys: Keys
    lines: bool = False
    note: str = ""


_ID = key(TEXT, "the session ID")
_PAUSE = record(
    {
        "reason": key(PAUSE_REASON, "why nothing is sent"),
        "since": key(INSTANT, "when it began"),
        "detail": key(TEXT, "the reason in words"),
        "ends_at": key(nullable(INSTANT), "when it ends, null where that is not known beforehand"),
        "by": key(nullable(TEXT), "the person who paused, null for an automatic pause"),
    }
)
_WORKER = record(
    {
        "host": key(nullable(TEXT), "the machine, or the pod's name in Kubernetes"),
        "pid": key(INTEGER, "its process"),
        "started_at": key(INSTANT, ""),
        "last_heartbeat_at": key(INSTANT, ""),
        "in_flight": key(COUNT, "IDs that it has claimed and not settled"),
        "limit": key(COUNT, "DELETEs that it may have in flight now"),
        "pauses": key(array(_PAUSE), "what holds this reaper up"),
    }
)
_HELD = {
    "created_at": key(INSTANT, ""),
    "expires_at": key(INSTANT, "without a decision until then, it is void"),
    "guards": key(array(TEXT), "the guards that it tripped"),
    "reason": key(TEXT, "why, in words"),
}
_SETTLED: Keys = {
    "session_id": _ID,
    "outcome": key(OUTCOME, "how its round ended"),
    "status": key(nullable(INTEGER), "the status of the answer that settled it, null where none did"),
    "attempts": key(COUNT, "sends that were charged to it"),
    "source": key(TEXT, "where the ID came from"),
    "settled_at": key(INSTANT, "when"),
    "detail": some(TEXT, "the message of the API's error, or why it was spared"),
}
_SENDS = record(
    {
        "at": key(INSTANT, ""),
        "status": key(nullable(INTEGER), "of the answer, null without one"),
        "error": key(
            nullable(TEXT), "why there was no answer; `check: …`: no DELETE was sent, the check before it failed"
        ),
        "duration_s": key(SECONDS, ""),
        "request_id": key(nullable(TEXT), "the request's ID in the answer"),
    }
)
_RULES = record(
    {
        "listed": key(COUNT, "sessions that the rule decided about"),
        "chosen": key(COUNT, "of these, to be stopped and new to the queue"),
        "queued_already": key(COUNT, "in the queue before"),
        "settled_already": key(COUNT, "settled before"),
    }
)
_SWEEP = record(
    {
        "result": key(TEXT, "what came of the sweep"),
        "enforce": key(FLAG, "whether `discovery.enforce` is on; else it only reports"),
        "listed": key(COUNT, "sessions on the API's list"),
        "to_stop": key(COUNT, "sessions that the policy would stop"),
        "chosen": key(COUNT, "of these, new to the queue"),
        "queued": key(COUNT, "added to the queue"),
        "first_sightings": key(COUNT, "orphans that must be seen once more"),
        "hold": key(nullable(TEXT), "the hold that the sweep ended in"),
        "rules": key(mapping(_RULES), "by rule"),
        "notes": key(array(TEXT), "why nothing or little came of it, in words"),
    }
)
_REFUSED: Keys = {
    "source": key(TEXT, "file"),
    "line": key(COUNT, "line number"),
    "reason": key(TEXT, "what is wrong, and what to do"),
    "text": key(TEXT, "the beginning of the line"),
}
_DRY_RUN = key(FLAG, "nothing was changed: the counts say what would be")
_INTERRUPTED = key(FLAG, "the rest was left as it was; it is safe to run it again")
_CHOSEN: Keys = {"chosen": key(COUNT, "IDs that the options chose")}
_MANY = "The IDs themselves are not printed."


def _order(results: type[StrEnum]) -> Keys:
    """Return the keys of a line for one ID."""
    return {
        "session_id": _ID,
        "result": key({"enum": [result.value for result in results]}, ""),
        "dry_run": some(FLAG, "nothing was changed"),
    }


def _many(results: type[StrEnum]) -> Keys:
    """Return the keys of the report on many IDs."""
    return {
        **{result.value: key(COUNT, "") for result in results},
        "invalid": key(COUNT, "lines of `--from` that name no session"),
        "dry_run": _DRY_RUN,
        "interrupted": _INTERRUPTED,
        "refused": key(array(record({"session_id": _ID, "result": key(TEXT, "why")})), "the first of them"),
    }


_HOLD: Keys = {
    "hold": key(TEXT, "its ID"),
    "fate": key({"enum": ["open", "approved", "discarded", "expired"]}, ""),
    **_HELD,
    "sessions": key(mapping(RULE), "the rule that chose each session, by ID"),
    "by": key(nullable(TEXT), "who decided"),
    "why": key(nullable(TEXT), "the reason that was given"),
}
_DEAD: Keys = {
    "refused": key(array(TEXT), "IDs that are no such dead letters"),
    "dry_run": _DRY_RUN,
    "interrupted": _INTERRUPTED,
}
_OUTCOMES: Keys = {outcome.value: key(COUNT, "") for outcome in Outcome}

DOCUMENTS: dict[str, Document] = {
    "add": Document(
        "reaper add",
        {
            "accepted": key(COUNT, "IDs that were new, or re-opened by `--again`"),
            "duplicate": key(COUNT, "IDs that the queue knew, and that did not change"),
            "postponed": key(COUNT, "IDs that waited already and got the new time, by `--or-postpone`"),
            "invalid": key(COUNT, "lines that name no session"),
            "duplicates": key(
                array(
                    record(
                        {
                            "session_id": _ID,
                            "state": key(STATE, ""),
                            "outcome": key(nullable(OUTCOME), "null while it is open"),
                            "due_at": key(INSTANT, ""),
                            "change": key(
                                nullable(TEXT),
                                "the command that would change it, null where none does: in flight, due now already",
                            ),
                        }
                    )
                ),
                "the state of the IDs that did not change, the first of them",
            ),
            "invalid_lines": key(array(record(_REFUSED)), "the refused lines, the first of them"),
        },
    ),
    "once": Document(
        "reaper once",
        {
            "accepted": key(COUNT, "IDs that were new"),
            "duplicate": key(COUNT, "IDs that the queue knew"),
            "invalid": key(COUNT, "lines that name no session"),
            **_OUTCOMES,
            "waiting": key(COUNT, "IDs of the set that are still open"),
            "scheduled": key(COUNT, "of these, due later, not sent in this round"),
            "retrying": key(COUNT, "of these, due later, after a send"),
            "delayed": key(COUNT, "scheduled and retrying"),
            "sends": key(COUNT, "DELETEs that this run sent"),
            "retries": key(COUNT, "those of them that were not the first of their ID's round"),
            "earlier": key(per_outcome(), "of the outcomes, those that earlier runs reached"),
            "notes": key(array(TEXT), "what a person should know of the outcomes"),
            "discovery": key(nullable(_SWEEP), "the sweep that `--discover` began with"),
            "duration_s": key(SECONDS, ""),
            "exit": key(INTEGER, "the exit code"),
        },
        note="The counts are of the run's set: the IDs of its input and all that was open and due at the start.",
    ),
    "once-dry-run": Document(
        "reaper once --dry-run",
        {
            "would_send": key(COUNT, "IDs that a run would send now"),
            "duplicate": key(COUNT, ""),
            "delayed": key(COUNT, "due later"),
            "invalid": key(COUNT, ""),
            "session_ids": key(array(TEXT), "the IDs that would be sent"),
            "protected": key(array(TEXT), "the IDs that a rule would spare"),
            "left_by_limit": key(COUNT, "IDs that are due, too, and would be left because of `--limit`"),
            "discovery": key(nullable(_SWEEP), ""),
        },
    ),
    "status": Document(
        "reaper status",
        {
            "target": key(nullable(TEXT), "the API's address that the queue is pinned to, null before the first proof"),
            "account": key(nullable(TEXT), "the account behind the token, likewise"),
            "queue": key(TEXT, "its URL, the password masked"),
            "version": key(TEXT, "of the program that prints this"),
            "workers": key(array(_WORKER), "the living reapers of the queue"),
            "ready": key(COUNT, "due now"),
            "scheduled": key(COUNT, "due later, not sent in this round"),
            "retrying": key(COUNT, "due later, after a send"),
            "delayed": key(COUNT, "scheduled and retrying"),
            "in_flight": key(COUNT, "claimed, and no result yet"),
            "dead": key(COUNT, "dead letters that are kept"),
            "settled": key(per_outcome(), "rounds by outcome since the ledger began"),
            "oldest_due_s": key(SECONDS, "how long the oldest ready ID has been due"),
            "next_scheduled_at": key(nullable(INSTANT), "when the next scheduled ID falls due"),
            "next_retry_at": key(nullable(INSTANT), "when the next retry falls due"),
            "pauses": key(array(_PAUSE), "what holds the queue up"),
            "limit": key(nullable(COUNT), "DELETEs that all reapers may have in flight, null without one"),
            "imbalance": key(INTEGER, "0 while the accounting balances"),
            "holds": key(
                array(record({"id": key(TEXT, ""), **_HELD, "sessions": key(COUNT, "how many it holds")})),
                "the sweeps that wait for a decision",
            ),
            "hold_count": key(COUNT, ""),
            "ghosts": key(
                array(record({"session_id": some(TEXT, ""), "first_seen_at": key(INSTANT, "")})),
                "sessions that are alive although the API said that they were gone",
            ),
            "ghost_count": key(COUNT, ""),
            "unproven_gone": key(COUNT, "answers of 404 in a row that no list confirmed (`api.verify=false`)"),
            "intake_missing": key(array(TEXT), "a sentence for each entry of `intake.files` that names no file"),
            "spool_refused": key(
                nullable(COUNT), "spool files that were refused whole and lie in `bad/`, null without a readable spool"
            ),
            "disk_fault": some(
                nullable(TEXT), "why the disk of the ledger takes no writes, null if it does; not in `/status`"
            ),
            "config_refused": some(
                nullable(TEXT), "why the last reload was refused, null after a good one; only in `/status`"
            ),
            "profile": some(nullable(TEXT), "the profile in use; not in `/status`"),
        },
        note="`/status` of the health listener is the same document.",
    ),
    "status-watch": Document(
        "reaper status --watch",
        {"trouble": key(TEXT, "why the queue cannot be read now")},
        note="One `reaper status` document each time; this one instead while the queue cannot be read.",
    ),
    "show": Document(
        "reaper show",
        {
            "session_id": _ID,
            "state": key(STATE, ""),
            "outcome": key(nullable(OUTCOME), "null while it is open"),
            "source": key(TEXT, "where the ID came from"),
            "added_at": key(INSTANT, ""),
            "due_at": key(INSTANT, "from when it may be claimed; in flight: the end of its lease"),
            "round": key(COUNT, "1, and one more for each re-opening"),
            "sends": key(array(_SENDS), "the sends of this round whose details are kept, oldest first"),
            "settled_at": some(INSTANT, ""),
            "detail": some(TEXT, "the message of the API's error, or why it was spared"),
            "by": some(TEXT, "who cancelled, postponed or re-opened it"),
            "reason": some(TEXT, "the reason that was given"),
        },
        lines=True,
    ),
    "outcomes": Document("reaper outcomes", _SETTLED, lines=True),
    "dead-list": Document("reaper dead list", _SETTLED, lines=True),
    "dead-retry": Document(
        "reaper dead retry",
        {"retried": key(COUNT, ""), **_DEAD},
    ),
    "dead-purge": Document(
        "reaper dead purge",
        {"purged": key(COUNT, ""), **_DEAD},
    ),
    "sessions": Document(
        "reaper sessions",
        {
            "session_id": _ID,
            "status": key(nullable(TEXT), "as the API gives it"),
            "created_at": key(nullable(INSTANT), ""),
            "expires_at": key(nullable(INSTANT), ""),
            "owner": key(nullable(TEXT), "its batch"),
            "verdict": key(ACTION, "what the policy says"),
            "rule": key(RULE, "the rule that decided"),
            "reason": key(TEXT, "why, in words"),
            "queued": key(nullable(TEXT), "its outcome in the queue, `open` without one, null where it is not there"),
            "would_stop": key(FLAG, "whether a sweep would queue it now"),
        },
        lines=True,
    ),
    "holds": Document("reaper holds", _HOLD, lines=True),
    "approve": Document("reaper approve", {**_HOLD, "accepted": key(COUNT, "IDs that were added to the queue")}),
    "discard": Document("reaper discard", _HOLD),
    "check": Document(
        "reaper check",
        {
            "ok": key(FLAG, "whether `run` would start and could stop sessions now"),
            "run": key(
                record(
                    {
                        "stops_sessions": key(FLAG, ""),
                        "exit": key(nullable(INTEGER), "the code that `run` would end with"),
                        "waits": key(FLAG, "it would wait until the queue can be used"),
                        "pauses": key(array(PAUSE_REASON), "it would start and be held up by these"),
                        "because": key(array(TEXT), "the subjects of the lines that say so"),
                    }
                ),
                "what `run` would do",
            ),
            "lines": key(
                array(
                    record(
                        {
                            "subject": key(TEXT, ""),
                            "ok": key(FLAG, ""),
                            "warned": key(FLAG, "it works, but something is at risk"),
                            "text": key(TEXT, "the fact, or what to do"),
                            "exit": key(nullable(INTEGER), "`run` would end with this code"),
                            "pause": key(nullable(PAUSE_REASON), "`run` would be held up by this pause"),
                        }
                    )
                ),
                "one for each thing that was checked",
            ),
        },
    ),
    "audit": Document(
        "reaper audit",
        {
            "balanced": key(FLAG, "whether every equation holds"),
            "accepted": key(COUNT, "rounds since the ledger began"),
            "settled": key(per_outcome(), ""),
            "waiting": key(COUNT, ""),
            "in_flight": key(COUNT, ""),
            "duplicate": key(COUNT, "lines that named a known ID; never accepted"),
            "invalid": key(COUNT, "lines that name no session; never accepted"),
            "lines": key(
                array(
                    record(
                        {
                            "name": key(TEXT, "the equation in words"),
                            "left": key(INTEGER, "as counted"),
                            "right": key(INTEGER, "as found in the rows"),
                            "balanced": key(FLAG, ""),
                        }
                    )
                ),
                "the equations",
            ),
        },
    ),
    "list": Document(
        "reaper list",
        {
            "session_id": _ID,
            "state": key(STATE, "dead letters are `settled`"),
            "outcome": key(nullable(OUTCOME), "null while it is open"),
            "due_at": key(nullable(INSTANT), "from when it may be claimed; in flight: the end of its lease"),
            "source": key(TEXT, "where the ID came from"),
            "added_at": key(INSTANT, ""),
            "round": key(COUNT, "1, and one more for each re-opening"),
            "sends": key(COUNT, "sends of this round"),
            "last_answer": key(nullable(_SENDS), "the last send whose details are kept"),
            "settled_at": key(nullable(INSTANT), ""),
        },
        lines=True,
    ),
    "list-invalid": Document("reaper list --invalid", {**_REFUSED, "at": key(nullable(INSTANT), "")}, lines=True),
    "postpone": Document("reaper postpone ID…", _order(PostponeResult), lines=True),
    "postpone-many": Document(
        "reaper postpone --from, --source or --state", {**_CHOSEN, **_many(PostponeResult)}, note=_MANY
    ),
    "cancel": Document("reaper cancel ID…", _order(CancelResult), lines=True),
    "cancel-many": Document(
        "reaper cancel --from, --source or --state", {**_CHOSEN, **_many(CancelResult)}, note=_MANY
    ),
    "pause": Document(
        "reaper pause", {"paused": key({"const": True}, ""), "until": key(nullable(INSTANT), "null: until resumed")}
    ),
    "resume": Document(
        "reaper resume",
        {"paused": key({"const": False}, ""), "was_paused": key(FLAG, "whether there was a pause to end")},
    ),
    "queue-init": Document(
        "reaper queue init", {"ready": key({"const": True}, ""), "accepted": key(COUNT, "rounds so far")}
    ),
    "queue-backup": Document("reaper queue backup", {"backup": key(TEXT, "the new file")}),
    "queue-restore": Document(
        "reaper queue restore",
        {
            "restored": key(TEXT, "the ledger"),
            "from": key(TEXT, "the copy"),
            "former": key(nullable(TEXT), "where the former ledger is now"),
            "accepted": key(COUNT, "rounds in the copy"),
            "waiting": key(COUNT, "open IDs in it"),
        },
    ),
    "notify-test": Document(
        "reaper notify test",
        {
            "receivers": key(
                array(
                    record(
                        {
                            "number": key(COUNT, "its place in `notify.urls`, from 1"),
                            "url": key(TEXT, "its scheme; the rest is masked"),
                            "ok": key(FLAG, "whether it took the message"),
                            "error": key(nullable(TEXT), "why not"),
                            "duration_s": key(SECONDS, ""),
                        }
                    )
                ),
                "one for each URL, in their order",
            )
        },
    ),
    "config-show": Document(
        "reaper config show",
        {
            "config_file": key(nullable(TEXT), "the settings file in use"),
            "profile": key(nullable(TEXT), ""),
            "places": key(array(mapping(ANY)), "where a settings file was looked for"),
        },
        note="Besides these, one key for each section; in it a `value` and an `origin` for each setting.",
    ),
    "config-init": Document(
        "reaper config init",
        {
            "written": key(TEXT, "the new settings file"),
            "schema": key(TEXT, "the schema beside it, for editors"),
            "next": key(TEXT, "the command to go on with"),
        },
    ),
    "sandbox": Document(
        "reaper sandbox",
        {
            "url": key(TEXT, "its address"),
            "queue": key(TEXT, "the URL of a ledger that goes with it, for a try-out: `queue.url`"),
            "sessions": key(COUNT, "how many it began with"),
        },
    ),
    "error": Document(
        "any command, on stderr",
        {
            "error": key(TEXT, "what is wrong, where, and what to do"),
            "exit": key(INTEGER, "the exit code"),
            "event": some({"const": "reaper.exited"}, "with `timestamp` and `level`, as every log line"),
        },
        note="Printed instead of a sentence when the command ends with an error. It is also the log event "
        "`reaper.exited`.",
    ),
}
