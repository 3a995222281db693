"""What may be wrong when `run` starts: how each is brought about, what `check` says of it and what `run` does.

docs/check.md has the table (`table`), and tests/integration/test_check_and_run.py tries each row on both. It
is one table, as long as there are things to go wrong.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from reaper.sandbox.faults import Mode
from tests.support import spoils
from tests.support.spoils import TOKEN, Spoil

USER, GROUP = 20001, 20010
"""Of rows in which `run` is not root."""
STOPS = "stops sessions"
WAITS = "waits for the queue"
RESERVED = "192.0.2.1"
"""An address that no machine has (RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """One row. `logs` is the event with which `run` tells what is a warning of `check`."""

    what: str
    spoil: Spoil
    subject: str
    run: str
    words: str
    logs: str | None = None
    needs: frozenset[str] = field(default_factory=frozenset)
    """`root` to act as others, `postgres` or `redis`; `user`: `run` and `check` are not root."""

    @property
    def word(self) -> str:
        return "warn" if self.run == STOPS else "FAIL"


def _row(
    what: str, spoil: Spoil, subject: str, run: str, words: str, *, logs: str | None = None, needs: str = ""
) -> Breakage:
    return Breakage(what, spoil, subject, run, words, logs, frozenset(needs.split()))


BREAKAGES = (
    # --- the token
    _row("no token is configured", spoils.no_token, "token", "ends with 78", "no API token"),
    _row("the token file is missing", spoils.token_file(None), "token", "pauses: credentials", "does not exist"),
    _row("the token file is empty", spoils.token_file(" \n"), "token", "pauses: credentials", "is empty"),
    _row(
        "the token file cannot be read by this user",
        spoils.token_file(TOKEN, 0o000),
        "token",
        "pauses: credentials",
        "cannot be read: Permission denied",
        needs="user",
    ),
    _row("every user may read the token file", spoils.token_file(TOKEN, 0o644), "configuration", STOPS, "chmod o="),
    _row(
        "the group may read the token file", spoils.token_file(TOKEN, 0o640), "token", STOPS, "chmod g=", needs="user"
    ),
    _row(
        "the API refuses the token",
        spoils.in_sandbox(lambda s: setattr(s, "token", "another")),
        "token",
        "pauses: credentials",
        "refused it (401)",
    ),
    # --- the API
    _row("the API cannot be reached", lambda w: w.sandbox.down(), "api", "pauses: api_down", "whether this machine"),
    _row(
        "the API is down (5xx)", spoils.in_sandbox(lambda s: s.set_mode(Mode.OUTAGE)), "api", "pauses: api_down", "502"
    ),
    _row(
        "another server answers",
        spoils.in_sandbox(lambda s: s.set_mode(Mode.HTML_200)),
        "api",
        "pauses: wrong_target",
        "not a list of sessions",
    ),
    _row(
        "the queue belongs to another address",
        spoils.pin("target", "https://other.example"),
        "target",
        "pauses: wrong_target",
        "reaper check --accept-target",
    ),
    _row(
        "the queue belongs to another account",
        spoils.pin("account", '{"user_id": "usr_other"}'),
        "account",
        "pauses: wrong_target",
        "the queue was filled for usr_other",
    ),
    _row("`api.ca_file` is missing", spoils.no_ca_file, "api", "ends with 78", "api.ca_file"),
    _row(
        "the clock is wrong by more than 30 s",
        spoils.in_sandbox(lambda s: setattr(s.stamp, "skew_s", 3600.0)),
        "clock",
        STOPS,
        "s behind the server",
    ),
    # --- the queue
    _row("an operator has paused the queue", spoils.pause, "pause", "pauses: operator", "reaper resume"),
    _row(
        "the ledger is of a newer version",
        spoils.write_ledger("PRAGMA user_version = 99"),
        "queue",
        "ends with 69",
        "newer",
    ),
    _row("the ledger is of an older version", spoils.old_ledger, "queue", STOPS, "schema 1"),
    _row("the ledger's file is another program's", spoils.foreign_ledger, "queue", "ends with 69", "another program's"),
    _row("the ledger's file is damaged", spoils.damaged_ledger, "queue", "ends with 69", "is not a ledger"),
    _row(
        "the ledger has two names (hard links)",
        lambda w: os.link(w.ledger, w.home / "b"),
        "queue",
        "ends with 69",
        "hard links",
    ),
    _row(
        "the ledger belongs to another user",
        spoils.not_ours,
        "queue",
        "ends with 69",
        "belongs to user root",
        needs="user",
    ),
    _row(
        "the ledger may not be written by this user",
        lambda w: w.ledger.chmod(0o400),
        "queue",
        "ends with 69",
        "cannot be written",
        needs="user",
    ),
    _row(
        "no files can be made beside the ledger",
        spoils.no_right_to_make_files,
        "queue",
        "ends with 69",
        "make it writable",
        needs="user",
    ),
    _row(
        "there is no ledger, and none can be made",
        spoils.missing_ledger_in_a_closed_directory,
        "queue",
        "ends with 69",
        "check the rights",
        needs="user",
    ),
    _row("another program keeps the ledger locked", spoils.busy_ledger, "queue", WAITS, "locked by another process"),
    _row("other users may read the ledger", spoils.open_ledger, "queue", STOPS, "chmod go="),
    _row(
        "a count of the ledger is wrong",
        spoils.write_ledger("UPDATE counter SET value = value + 1 WHERE name = 'accepted'"),
        "queue",
        STOPS,
        "reaper audit",
    ),
    _row(
        "PostgreSQL: a right is missing",
        spoils.postgres_without("UPDATE", "reaper_owner"),
        "queue",
        "ends with 69",
        "too few rights",
        needs="postgres",
    ),
    _row(
        "PostgreSQL: the queue is of a newer version",
        spoils.postgres_newer,
        "queue",
        "ends with 69",
        "newer",
        needs="postgres",
    ),
    _row("Redis: a right is missing", spoils.redis("-zadd"), "queue", "ends with 69", "+zadd", needs="redis"),
    _row(
        "Redis: the server cannot be reached",
        spoils.redis_gone,
        "queue",
        "ends with 69",
        "cannot be reached",
        needs="redis",
    ),
    _row("Redis: the server is out of memory", spoils.redis_full, "queue", WAITS, "out of memory", needs="redis"),
    _row("Redis: what is accepted may be lost", spoils.redis(), "queue", STOPS, "appendfsync", needs="redis"),
    # --- what spares
    _row("`protect.file` is missing", spoils.protect(None), "protect.file", "ends with 78", "cannot be read"),
    _row(
        "an entry of `protect.file` can match nothing",
        spoils.protect("- a\n"),
        "protect.file",
        "ends with 78",
        "item of a list",
    ),
    _row(
        "the owners cannot be read",
        lambda w: w.set(discovery__owners_file=w.home / "none"),
        "owners",
        STOPS,
        "all owners count as alive",
    ),
    # --- what is followed
    _row(
        "an input file is missing", spoils.files("none"), "intake.files", STOPS, "does not exist", logs="intake.noted"
    ),
    _row(
        "an input file is a directory",
        spoils.files("d", Path.mkdir),
        "intake.files",
        STOPS,
        "is a directory",
        logs="intake.failed",
    ),
    _row(
        "an input file is a FIFO",
        spoils.files("f", os.mkfifo),
        "intake.files",
        STOPS,
        "is a FIFO",
        logs="intake.failed",
    ),
    _row(
        "an input file cannot be read by this user",
        spoils.files("x", lambda p: p.touch(0o000)),
        "intake.files",
        STOPS,
        "Permission denied",
        logs="intake.failed",
        needs="user",
    ),
    _row(
        "a pattern matches no file",
        spoils.files("*.ids"),
        "intake.files",
        STOPS,
        "matches no files",
        logs="intake.noted",
    ),
    _row(
        "a directory of the spool is a link", spoils.spool(spoils.linked_room), "spool", "ends with 78", "symbolic link"
    ),
    _row(
        "a directory of the spool belongs to another user",
        spoils.spool(spoils.room_of(USER)),
        "spool",
        "ends with 78",
        "belongs to another user",
        needs="root",
    ),
    _row(
        "a file of the spool was refused whole",
        spoils.spool(spoils.refused_file),
        "spool",
        STOPS,
        "1 file was refused whole and moved to",
    ),
    _row("the spool is a file", spoils.spool(Path.touch), "spool", "ends with 78", "Not a directory"),
    _row(
        "the spool cannot be made",
        lambda w: w.set(intake__spool_dir=spoils.file(w, "a") / "spool"),
        "spool",
        "ends with 78",
        "Not a directory",
    ),
    _row(
        "a directory of the spool cannot be made",
        spoils.spool(spoils.closed_spool),
        "spool",
        "ends with 78",
        "Permission denied",
        needs="user",
    ),
    # --- who is notified
    _row(
        "a receiver of `notify.urls` is none that Apprise takes",
        lambda w: w.set(notify__urls="bogus://a"),
        "notify.urls",
        STOPS,
        "Apprise knows no such service",
    ),
    _row(
        "the extra `notify` is missing",
        spoils.no_apprise,
        "notify.urls",
        STOPS,
        "pip install",
        logs="notification.failed",
    ),
    # --- the health pages
    _row("`telemetry.admin_token_file` is missing", spoils.admin_file(None), "console", "ends with 78", "No such file"),
    _row(
        "others may use `telemetry.admin_token_file`",
        spoils.admin_file(f"ann {spoils.ADMIN_TOKEN}\n", 0o644),
        "console",
        "ends with 78",
        "chmod 600",
    ),
    _row(
        "`telemetry.admin_token_file` has a line that is none",
        spoils.admin_file("ann\n"),
        "console",
        "ends with 78",
        "line 1 is not",
    ),
    _row(
        "acts are possible on an address of the network",
        spoils.open_to_all,
        "console",
        STOPS,
        "cross the network in the clear",
    ),
    _row("another program holds `telemetry.listen`", spoils.listen_busy, "listen", "ends with 78", "in use"),
    _row(
        "another program holds the default address",
        spoils.default_busy,
        "listen",
        STOPS,
        "in use",
        logs="listener.failed",
    ),
    _row(
        "`telemetry.listen` is no address of this machine",
        lambda w: w.set(telemetry__listen=f"{RESERVED}:9464"),
        "listen",
        "ends with 78",
        "cannot be bound",
    ),
)


def table() -> str:
    """Return the table of docs/check.md."""
    rows = ["| what is wrong | `check` says | `run` |", "|---|---|---|"]
    for row in BREAKAGES:
        run = "starts and stops sessions" if row.run == STOPS else row.run.replace("pauses: ", "starts, and pauses: ")
        rows.append(f"| {row.what} | {row.word} `{row.subject}` | {run} |")
    return "\n".join(rows) + "\n"
