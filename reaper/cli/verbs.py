"""The table of commands and the table of exit codes, as `--help`, the manual and docs/commands.md print them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: where it lives, what it does, and whether it takes the options of the verbs that work."""

    module: str
    help: str
    works: bool = True


GROUPS: dict[str, dict[str, Verb]] = {
    "stop sessions": {
        "run": Verb("run", "the daemon: take in, stop, until told to end"),
        "once": Verb("once", "take in files or stdin, stop them, print a summary, exit"),
        "add": Verb("add", "queue session IDs, now or for later"),
    },
    "see": {
        "status": Verb("status", "the whole queue and every pause"),
        "show": Verb("show", "one session ID and all that happened to it"),
        "outcomes": Verb("ledger", "one line for each settled ID"),
        "audit": Verb("ledger", "verify that every accepted ID is accounted for"),
        "sessions": Verb("discovery", "the account's live sessions, and what the policy says of each"),
        "holds": Verb("discovery", "sweeps that a guard holds"),
        "check": Verb("check", "configuration, token, API, queue, clock: ok or what to do"),
        "health": Verb("health", "is the daemon alive? for probes", works=False),
    },
    "intervene": {
        "postpone": Verb("operate", "set when a waiting ID is due"),
        "cancel": Verb("operate", "take IDs out of the queue"),
        "approve": Verb("discovery", "let a held sweep go on"),
        "discard": Verb("discovery", "let a held sweep go"),
        "dead": Verb("dead", "list, retry or purge the IDs that could not be stopped"),
        "pause": Verb("operate", "stop sending, for the whole queue"),
        "resume": Verb("operate", "end the operator's pause"),
    },
    "set up and rehearse": {
        "config": Verb("config", "effective settings and where each comes from"),
        "queue": Verb("queue", "prepare a queue, back up the ledger"),
        "sandbox": Verb("sandbox", "a local stand-in for the API", works=False),
        "demo": Verb("demo", "sandbox, backlog and a run over it; needs no account", works=False),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}

EXIT_CODES = """\
exit codes (the first that applies):
  1   internal error, or audit or check found a fault
  2   usage
  78  configuration
  77  credentials refused
  69  queue or API unavailable, or not the API
  4   a guard held the sweep
  3   finished; some sessions dead, or some input invalid or refused
  75  work left, safe to run again
  0   done
"""
