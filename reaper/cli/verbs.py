"""The table of commands and the table of exit codes, as `--help`, the manual and docs/commands.md print them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. `module` is its module in `cli/commands`; `works`: it takes the options that override settings."""

    module: str
    help: str
    works: bool = True


GROUPS: dict[str, dict[str, Verb]] = {
    "stop sessions": {
        "run": Verb("run", "run the daemon: take in IDs and stop sessions until SIGTERM"),
        "once": Verb("once", "take in files or stdin, stop them, print a summary, exit"),
        "add": Verb("add", "queue session IDs, to be stopped now or later"),
    },
    "see": {
        "status": Verb("status", "show the whole queue and every pause"),
        "show": Verb("show", "show one session ID and everything that happened to it"),
        "outcomes": Verb("ledger", "print one line for each settled ID"),
        "audit": Verb("ledger", "verify that every accepted ID is accounted for"),
        "sessions": Verb("discovery", "list the account's live sessions with the policy's verdict"),
        "holds": Verb("discovery", "list the sweeps that a guard holds"),
        "check": Verb("check", "check settings, token, API, queue, clock; name each remedy"),
        "health": Verb("health", "ask whether the daemon is alive, for probes", works=False),
    },
    "intervene": {
        "postpone": Verb("operate", "change when a waiting ID is due"),
        "cancel": Verb("operate", "take IDs out of the queue"),
        "approve": Verb("discovery", "approve a held sweep: its sessions are stopped"),
        "discard": Verb("discovery", "discard a held sweep: none of its sessions is stopped"),
        "dead": Verb("dead", "list, retry or purge the IDs that could not be stopped"),
        "pause": Verb("operate", "stop sending, for the whole queue"),
        "resume": Verb("operate", "end the operator's pause"),
    },
    "set up and rehearse": {
        "config": Verb("config", "print the effective settings and the origin of each"),
        "queue": Verb("queue", "prepare a queue, or back up the ledger"),
        "sandbox": Verb("sandbox", "run a local stand-in for the API", works=False),
        "demo": Verb("demo", "run once over a sandbox and a backlog; needs no account", works=False),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}

EXIT_CODES = """\
exit codes (checked in this order):
  1   internal error, or audit or check found a fault
  2   usage
  78  configuration
  77  credentials refused
  69  queue or API unavailable, or the address is not the API's
  4   a guard held the sweep
  3   finished; some sessions dead, or some input invalid or refused
  75  work is left; it is safe to run again
  0   done
"""
