"""`reaper demo`: a stand-in API that fails now and then, a generated backlog, and `once` over it. Needs no account."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from reaper.cli.context import run_async
from reaper.cli.output import say
from reaper.core.errors import Exit

SESSIONS = 500
FAULTS = "502:0.15,429:1:0.004,reset:0.02,lost:0.02"
LATENCY = "p50=60ms,p99=250ms"
UNKNOWN, FOREIGN = 15, 5
"""IDs of the backlog that are gone already, and IDs that belong to another account."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sessions", type=int, default=SESSIONS, metavar="N", help=f"size of the backlog ({SESSIONS})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same sessions and faults (1)")


def run(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="reaper-demo-") as folder:
        return run_async(_demo, args, Path(folder))


async def _demo(args: argparse.Namespace, folder: Path) -> int:
    from reaper.api.credentials import Credentials
    from reaper.cli.commands.once import stop_set
    from reaper.sandbox.server import Sandbox
    from reaper.sandbox.sessions import generate
    from reaper.settings.load import load

    sessions = list(generate(args.sessions, args.seed))
    foreign = [replace(session, foreign=True) for session in sessions[:FOREIGN]]
    ids = [session.session_id for session in sessions] + [f"env_gone_{n}" for n in range(UNKNOWN)]
    backlog = folder / "backlog.txt"
    backlog.write_text("".join(f"{one}\n" for one in ids))
    async with Sandbox([*foreign, *sessions[FOREIGN:]], seed=args.seed, latency=LATENCY, fail=FAULTS) as sandbox:
        say(f"a stand-in for the API listens on {sandbox.url}; latency {LATENCY}, faults {FAULTS}")
        of_others = f"{len(foreign)} of them belong to another account"
        say(f"the backlog has {len(sessions)} sessions ({of_others}) and {UNKNOWN} IDs whose session is gone")
        flags = {
            "api.base_url": sandbox.url,
            "queue.url": f"sqlite:///{folder}/reaper.db".replace("////", "///"),
            "retry.base_s": 0.2,
            "telemetry.log_level": "warning" if not args.verbose else "debug",
        }
        # Neither settings nor a token of the user's environment may get into a demonstration.
        (folder / "reaper.toml").touch(0o600)
        code = await stop_set(
            args,
            load(folder / "reaper.toml", flags, {}),
            Credentials(None, sandbox.token),
            [str(backlog)],
            ephemeral_ledger=True,
        )
        lost = set(sandbox.sessions.active)
        peak = sandbox.counters.peak_in_flight
    say(f"the stand-in got {sandbox.counters.deletes} DELETEs, at most {peak} at once; {len(lost)} sessions still run")
    if code == Exit.DEAD and len(lost) == 0:
        say(
            f"this is the expected result: the {len(foreign)} sessions of another account are kept as dead letters, "
            f"so `reaper once` would exit with {code}"
        )
        say("the ledger of this demo is deleted. To go on: export ARCHAL_TOKEN=…, then: reaper check")
        return Exit.OK
    return code
