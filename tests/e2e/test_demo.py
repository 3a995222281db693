"""The first thing a newcomer runs."""

from __future__ import annotations

from tests.support.processes.command import Command


def test_demo_stops_everything_and_needs_no_account(command: Command) -> None:
    command.env |= {"ARCHAL_TOKEN": "", "REAPER_API__BASE_URL": "https://example.invalid"}
    done = command.run("demo", timeout_s=90)
    assert done.returncode == 0, done.stderr
    assert "515 accepted" in done.stdout
    assert "0 sessions still run" in done.stderr
    assert "dead list" not in done.stdout + done.stderr, "the ledger is gone: there is nothing to list"
    assert done.stderr.splitlines()[-1].endswith("To go on: export ARCHAL_TOKEN=…, then: reaper check")
    assert not (command.home / "state").exists(), "the demonstration left something behind"


def test_demo_speaks_json(command: Command) -> None:
    summary = command.json("demo", "--sessions", "20")
    assert (summary["accepted"], summary["forbidden"], summary["waiting"]) == (35, 5, 0)
