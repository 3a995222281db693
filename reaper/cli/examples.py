"""Examples for `--help` and the manual pages. A test parses each of them."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("reaper run", "follow intake.files and intake.spool_dir until SIGTERM"),
        ("reaper run --on-term reap", "beside a test job: stop all its sessions before it ends"),
    ),
    "once": (
        ("reaper once ids.txt", "stop these, and what is due in the queue"),
        ("reaper once --dry-run ids.txt", "print what would be stopped"),
        ("reaper once --limit 5 ids.txt", "a careful first run"),
        ("reaper once --for 10m --json -", "IDs from stdin, ten minutes at most, the counts as JSON"),
    ),
    "add": (
        ("reaper add env_12345 --after 30m", "stop it in half an hour, unless it is postponed or cancelled"),
        ("reaper add --from ids.txt", "queue a file; a running reaper stops them"),
        ("reaper add env_12345 --again", "stop it again, although it is settled"),
    ),
    "status": (
        ("reaper status", "the counts, the pauses, and what to do"),
        ("reaper status --watch", "the same on a screen of its own, with the rate"),
        ("reaper status --json", "for scripts"),
    ),
    "show": (("reaper show env_12345", "each send and answer, the outcome, and what to do next"),),
    "outcomes": (
        ("reaper outcomes --since 1h", "what was settled in the last hour"),
        ("reaper outcomes --outcome exhausted --json", "those that failed too often, a JSON line each"),
    ),
    "audit": (("reaper audit", "exit 0: every accepted ID is accounted for"),),
    "sessions": (("reaper sessions", "what discovery would stop, and why; stops nothing"),),
    "holds": (("reaper holds", "exit 4 while a sweep waits for a decision"),),
    "check": (
        ("reaper check", "exit 0: a run can begin"),
        ("reaper check --accept-account", "pin the queue to the account of a new token"),
    ),
    "health": (("reaper health", "exit 0: the daemon on this machine is alive"),),
    "postpone": (
        ("reaper postpone env_12345 --after 30m", "due in half an hour"),
        ("reaper postpone env_12345 --after 0", "now"),
    ),
    "cancel": (("reaper cancel env_12345 --reason 'still in use'", "take it out of the queue"),),
    "approve": (
        ("reaper approve 7f3a --reason 'the test farm was shut down'", "stop the sessions of the held sweep 7f3a"),
    ),
    "discard": (("reaper discard 7f3a --reason 'wrong owners file'", "stop nothing of the held sweep 7f3a"),),
    "dead": (
        ("reaper dead list", "what could not be stopped, and why"),
        ("reaper dead retry --all --outcome exhausted", "try again, now that the API works"),
        ("reaper dead purge env_12345 --reason 'not ours'", "delete it; its count stays"),
    ),
    "pause": (("reaper pause --for 30m --reason 'deploy of the API'", "send nothing for half an hour"),),
    "resume": (("reaper resume", "send again"),),
    "config": (
        ("reaper config show", "every setting and where it comes from"),
        ("reaper config schema > reaper.schema.json", "for an editor that checks reaper.toml"),
    ),
    "queue": (
        ("reaper queue init", "create what the queue needs"),
        ("reaper queue backup /backup/reaper.db", "a consistent copy, also while a daemon runs"),
    ),
    "sandbox": (("reaper sandbox --fail 502:0.2 --latency 50ms", "a local API that fails now and then"),),
    "demo": (("reaper demo", "500 sessions of a stand-in API are stopped"),),
}


def examples(verb: str, part: str = "") -> str:
    """Return the examples below a verb's help; with `part` only those of a part of it, as `dead list`."""
    start = f"reaper {verb} {part}".rstrip()
    rows = [row for row in EXAMPLES[verb] if row[0].startswith(start)]
    width = max(len(line) for line, _ in rows)
    if width + max(len(what) for _, what in rows) > 76:
        return "examples:\n" + "\n".join(f"  {line}\n      {what}" for line, what in rows)
    return "examples:\n" + "\n".join(f"  {line:<{width}}  {what}" for line, what in rows)
