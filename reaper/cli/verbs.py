"""The table of commands and the table of exit codes, as `--help`, the manual and docs/commands.md print them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PRINTS = ("--json", "--verbose", "--quiet")
READS = ("--config", "--profile", *PRINTS)
LEDGER = (*READS, "--queue")
API = (*LEDGER, "--base-url", "--token-file")
WORKS = (*API, "--concurrency")


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. `module` is its module in `cli/commands`, `options` are those of `cli/arguments.py` that it takes.

    An option stands only where it does something; `parts` has the parts, as `config schema`, that differ in it.
    """

    module: str
    help: str
    options: tuple[str, ...] = LEDGER
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def options_of(self, part: str) -> tuple[str, ...]:
        """Return the options of a part of the command."""
        return self.parts.get(part, self.options)


GROUPS: dict[str, dict[str, Verb]] = {
    "stop sessions": {
        "run": Verb("run", "run the daemon: take in IDs and stop sessions until SIGTERM", WORKS),
        "once": Verb("once", "take IDs from files or stdin, stop their sessions, and end", WORKS),
        "exec": Verb("exec", "run a command, and stop its sessions when it ends", WORKS),
        "add": Verb("add", "queue session IDs: their sessions are stopped now or later"),
    },
    "see": {
        "status": Verb("status", "show the queue in numbers, what holds it up, and what to do"),
        "list": Verb("list", "list what is in the queue, or the lines that were refused"),
        "show": Verb("show", "show one ID or several: each send and answer, and what to do"),
        "outcomes": Verb("ledger", "print how settled IDs ended, one line each, or CSV"),
        "audit": Verb("ledger", "verify that every accepted ID is accounted for"),
        "sessions": Verb("sessions", "show the account's sessions and which ones discovery would stop", API),
        "holds": Verb("holds", "list the sweeps that a guard holds, with their sessions"),
        "check": Verb("check", "check settings, token, API, queue, clock; name each remedy", WORKS),
        "health": Verb("health", "ask whether the daemon is alive, for probes", READS),
    },
    "intervene": {
        "postpone": Verb("orders", "change when waiting IDs are due"),
        "cancel": Verb("orders", "take IDs out of the queue"),
        "approve": Verb("holds", "approve a held sweep: its sessions are stopped"),
        "discard": Verb("holds", "discard a held sweep: none of its sessions is stopped"),
        "dead": Verb("dead", "list, retry or purge the IDs that could not be stopped"),
        "pause": Verb("operate", "send nothing more from this queue, until it is resumed"),
        "resume": Verb("operate", "end the operator's pause"),
    },
    "set up and rehearse": {
        "config": Verb(
            "config", "print the settings in effect, or write a settings file", WORKS, {"schema": (), "init": READS}
        ),
        "notify": Verb("notify", "try notify.urls: send each receiver a test message", READS),
        "completion": Verb("completion", "print the completion of bash, zsh or fish", ()),
        "systemd": Verb("systemd", "print the systemd units, for where this reaper is installed", ()),
        "queue": Verb("queue", "prepare a queue; back up or restore the ledger"),
        "sandbox": Verb("sandbox", "run a local stand-in for the API", PRINTS),
        "demo": Verb("demo", "see it work on a stand-in for the API; needs no account", PRINTS),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}

EXIT_CODES = """\
exit codes (checked in this order):
  1    internal error, or audit, check or notify test found a fault
  2    usage
  78   configuration
  77   credentials refused
  69   queue or API unavailable, or the address is not the API's
  4    a guard held the sweep
  3    finished; some sessions not stopped, or some input invalid or refused
  75   work is left, it is safe to run again; or a question was answered with no
  0    done
  130  Ctrl-C at a question: nothing was changed
"""
