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
    "exec": (
        ("reaper exec env_12345 -- ./run-tests", "stop the session when the tests have ended, however they end"),
        ("reaper exec --after 2h env_12345 -- sh -c 'make && make test'", "if this process dies: two hours later"),
    ),
    "add": (
        ("reaper add env_12345 --after 30m", "stop it in half an hour, unless it is postponed or cancelled"),
        ("reaper add --from ids.txt", "queue a file; a running reaper stops them"),
        ("reaper add env_12345 --after 30m --or-postpone", "the same; if it waits already: half an hour from now on"),
        ("reaper add env_12345 --again", "stop it again, although it is settled"),
    ),
    "status": (
        ("reaper status", "the counts, the pauses, and what to do"),
        ("reaper status --watch", "the same on a screen of its own, with the rate"),
        ("reaper status --json", "for scripts"),
    ),
    "show": (
        ("reaper show env_12345", "each send and answer, the outcome, and what to do next"),
        ("reaper show env_12345 env_67890 --json", "both, a JSON line each"),
    ),
    "list": (
        ("reaper list", "all that is in the queue, by due time"),
        ("reaper list --state retrying --state dead", "what does not go well"),
        ("reaper list --source ids.txt --due-within 1h --json", "what of a file is due soon, a JSON line each"),
        ("reaper list --invalid", "the lines that were refused, and why"),
    ),
    "outcomes": (
        ("reaper outcomes --since 1h", "what was settled in the last hour"),
        ("reaper outcomes --outcome exhausted --json", "those that failed too often, a JSON line each"),
        ("reaper outcomes env_12345 env_67890", "how these two ended"),
        ("reaper outcomes --since 24h --csv > day.csv", "for a spreadsheet"),
    ),
    "audit": (("reaper audit", "exit 0: every accepted ID is accounted for"),),
    "sessions": (
        ("reaper sessions", "what discovery would stop, and why; stops nothing"),
        ("reaper sessions --would-stop", "only those that a sweep would queue now"),
        ("reaper sessions --rule live --owner batch-7", "the sessions of a batch that are kept"),
    ),
    "holds": (
        ("reaper holds", "exit 4 while a sweep waits for a decision"),
        ("reaper holds 7f3a01", "all sessions of the held sweep 7f3a01"),
    ),
    "check": (
        ("reaper check", "exit 0: `run` would start and could stop sessions now"),
        ("reaper check --accept-target", "pin the queue to a new address, or to the account of a new token"),
    ),
    "health": (("reaper health", "exit 0: the daemon on this machine is alive"),),
    "postpone": (
        ("reaper postpone env_12345 --after 30m", "due in half an hour"),
        ("reaper postpone env_12345 --after 0", "now"),
        ("reaper postpone --source nightly --after 2h --dry-run", "how many of these inputs would wait two hours"),
    ),
    "cancel": (
        ("reaper cancel env_12345 --reason 'still in use'", "take it out of the queue"),
        ("reaper cancel --from ids.txt --reason 'wrong file'", "all that this file names; asks when they are many"),
        ("reaper cancel --source ids.txt --state ready --reason 'wrong file' --yes", "those of it that are due"),
    ),
    "approve": (
        ("reaper approve 7f3a01 --reason 'the test farm was shut down'", "stop the sessions of the held sweep 7f3a01"),
    ),
    "discard": (("reaper discard 7f3a01 --reason 'wrong owners file'", "stop nothing of the held sweep 7f3a01"),),
    "dead": (
        ("reaper dead list", "what could not be stopped, and why"),
        ("reaper dead list --since 24h --limit 20", "the first 20 of the last day, and counts of all"),
        ("reaper dead retry --all --outcome exhausted", "try again, now that the API works"),
        ("reaper dead purge env_12345", "delete it; its count stays"),
        ("reaper dead purge --all --source old.ids --dry-run", "how many would be deleted"),
    ),
    "pause": (("reaper pause --for 30m --reason 'deploy of the API'", "send nothing for half an hour"),),
    "resume": (("reaper resume", "send again"),),
    "config": (
        ("reaper config show", "every setting and where it comes from"),
        ("reaper config show --changed", "only what is set, and where"),
        ("reaper config init", "write a settings file with comments; it says where"),
        ("reaper config init sidecar - > reaper.toml", "print one for a sidecar, and save it elsewhere"),
        ("reaper config schema > reaper.schema.json", "for an editor that checks reaper.toml"),
    ),
    "notify": (("reaper notify test", "say of each receiver whether it took a test message"),),
    "completion": (
        ("reaper completion bash > ~/.local/share/bash-completion/completions/reaper", "for bash"),
        ('reaper completion zsh > "${fpath[1]}/_reaper"', "for zsh, in a directory of $fpath"),
        ("reaper completion fish > ~/.config/fish/completions/reaper.fish", "for fish"),
    ),
    "systemd": (
        ("reaper systemd show", "the units of the daemon, of the single run and of its timer"),
        ("reaper systemd show reaper.service > reaper.service", "one of them, to put into /etc/systemd/system"),
        ("reaper systemd show token-file.conf", "a drop-in: a token that changes without a restart"),
    ),
    "queue": (
        ("reaper queue init", "create what the queue needs"),
        ("reaper queue backup /backup/reaper.db", "a consistent copy, also while a daemon runs"),
        ("reaper queue restore /backup/reaper.db", "put that copy in the ledger's place; no reaper may run"),
    ),
    "sandbox": (("reaper sandbox --fail 502:0.2 --latency 50ms", "a local API that fails now and then"),),
    "demo": (("reaper demo", "500 sessions of a stand-in API are stopped"),),
}


def examples(verb: str, part: str = "") -> str:
    """Return the examples below a verb's help; with `part` only those of a part of it, as `dead list`."""
    start = f"reaper {verb} {part}".rstrip()
    rows = [row for row in EXAMPLES[verb] if row[0].startswith(start)]
    return "examples:\n" + "\n".join(f"  {line}\n      {what}" for line, what in rows)
