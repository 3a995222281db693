"""The first things a newcomer runs."""

from __future__ import annotations

import shlex
import signal
import subprocess

from tests.support.processes.command import Command, kill, write_ids


def test_demo_stops_everything_and_needs_no_account(command: Command) -> None:
    command.env |= {"ARCHAL_TOKEN": "", "REAPER_API__BASE_URL": "https://example.invalid"}
    done = command.run("demo", timeout_s=90)
    assert done.returncode == 0, done.stderr
    assert "515 accepted" in done.stdout
    assert "stopped 484: of this account no session is left" in done.stderr
    assert "already gone 26: the 15 IDs without a session, and 11 sessions that the stand-in had stopped" in done.stderr
    assert "forbidden 5: the sessions of another account" in done.stderr
    assert "dead list" not in done.stdout + done.stderr, "the ledger is gone: there is nothing to list"
    assert "created the ledger" not in done.stderr, "its path is of no use: it is deleted"
    assert "export ARCHAL_TOKEN=…; reaper check" in done.stderr.splitlines()[-1]
    assert not (command.home / "state").exists(), "the demonstration left something behind"


def test_demo_speaks_json(command: Command) -> None:
    summary = command.json("demo", "--sessions", "20")
    assert (summary["accepted"], summary["forbidden"], summary["waiting"]) == (35, 5, 0)


def test_a_try_out_with_the_lines_of_the_sandbox_leaves_the_own_ledger_alone(command: Command) -> None:
    temporary = command.home / "tmp"
    temporary.mkdir()
    command.env["TMPDIR"] = str(temporary)
    with command.start("sandbox", "--sessions", "3") as sandbox:
        try:
            command.env |= _exported(sandbox)
            ids = [one["session_id"] for one in command.json("sessions")]
            summary = command.json("once", str(write_ids(command.home / "ids.txt", ids)))
            assert (summary["stopped"], summary["exit"]) == (3, 0)
            command.audit()
            assert list(temporary.glob("reaper-sandbox-*/reaper.db")), "the try-out has a ledger of its own"
            assert not command.ledger.exists(), "the user's ledger is pinned to the sandbox"
        finally:
            kill(sandbox, signal.SIGINT)
        assert sandbox.returncode == 0
    assert list(temporary.iterdir()) == [], "the sandbox keeps nothing"


def _exported(sandbox: subprocess.Popen[str]) -> dict[str, str]:
    """Return the variables that the sandbox names once it listens, as a shell reads its lines."""
    assert sandbox.stdout is not None
    exported: dict[str, str] = {}
    while "ARCHAL_TOKEN" not in exported:
        line = sandbox.stdout.readline()
        assert line, sandbox.communicate()
        if line.strip().startswith("export "):
            exported |= dict([shlex.split(line)[1].split("=", 1)])
    return exported
