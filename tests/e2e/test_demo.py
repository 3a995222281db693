"""The first thing a newcomer runs."""

from __future__ import annotations

from tests.support.processes.command import Command


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
