"""`reaper check` and a dry run with files: what is wrong is named with its remedy, and nothing is changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

import pytest

from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import RunningSandbox, running_sandbox


def check(command: Command, *, ok: bool) -> dict[str, str]:
    """Return what was said of each subject."""
    printed = command.json("check", code=0 if ok else 1)
    assert printed["ok"] is ok
    return {line["subject"]: line["text"] for line in printed["lines"]}


def test_before_the_first_run_all_is_well(command: Command) -> None:
    with running_sandbox(1) as sandbox:
        aim(command, sandbox)
        said = check(command, ok=True)
        assert said["queue"].startswith("there is no ledger yet")
        assert said["account"].endswith("pinned at the first run")
        assert said["clock"] == "agrees with the server's"
        assert not command.ledger.exists()
        assert command.json("add", "env_1", "--after", "1h")["accepted"] == 1
        said = check(command, ok=True)
        assert said["queue"] == "1 waiting, 0 dead"
        assert said["account"].endswith("none is pinned yet")
        words = [line.split()[0] for line in command.run("check").stdout.splitlines()]
        assert words == ["ok"] * 6


@pytest.mark.parametrize(
    ("spoil", "subject", "says"),
    [
        (lambda s: s.set_list("html"), "api", "answered 200, not a list of sessions"),
        (lambda s: s.set_mode("outage"), "api", "answered 502: the API is down"),
        (lambda s: s.set_mode("reset"), "api", "whether this machine can reach it"),
        (lambda s: setattr(s, "token", "another"), "token", "refused it (401)"),
    ],
    ids=["another page", "outage", "reset", "another token"],
)
def test_what_is_wrong_with_the_api_is_named(
    command: Command, spoil: Callable[[object], None], subject: str, says: str
) -> None:
    with running_sandbox(1) as sandbox:
        aim(command, sandbox)
        sandbox.do(spoil)
        said = check(command, ok=False)
        assert says in said[subject]
        assert "account" not in said


def test_an_api_out_of_reach_and_a_token_that_is_not_there(command: Command) -> None:
    with running_sandbox(1) as sandbox:
        aim(command, sandbox)
        sandbox.down()
        assert "whether this machine can reach it" in check(command, ok=False)["api"]
        sandbox.up()
        command.env |= {"REAPER_API__BASE_URL": sandbox.url, "ARCHAL_TOKEN": ""}
        command.env["REAPER_API__TOKEN_FILE"] = str(command.home / "none")
        assert "token" in check(command, ok=False)


def test_a_ledger_that_does_not_add_up_is_named(command: Command) -> None:
    with running_sandbox(1) as sandbox:
        aim(command, sandbox)
        command.json("add", "env_1", "env_2")
        with sqlite3.connect(command.ledger) as ledger:
            ledger.execute("UPDATE counter SET value = value + 1 WHERE name = 'accepted'")
        ledger.close()
        assert "1 accepted and not accounted for; see: reaper audit" in check(command, ok=False)["queue"]
        command.ledger.write_bytes(b"no ledger at all" * 500)
        assert "is not a ledger" in check(command, ok=False)["queue"]


def dry(command: Command, *args: str, code: int = 0) -> dict[str, object]:
    printed: dict[str, object] = command.json("once", "--dry-run", *args, code=code)
    return printed


def test_a_dry_run_with_files_sends_nothing_and_makes_no_ledger(command: Command) -> None:
    with running_sandbox(4) as sandbox:
        aim(command, sandbox)
        some = names_of(sandbox)
        later = json.dumps({"id": some[2], "due_at": "2090-01-01T00:00:00Z"})
        path = write_ids(command.home / "ids", [*some[:2], some[0], later, "bad/id"])
        assert dry(command, str(path), code=3) == {
            "would_send": 2, "duplicate": 1, "delayed": 1, "invalid": 1, "session_ids": some[:2],
        }  # fmt: skip
        assert not command.ledger.exists()
        command.json("add", some[3])
        path = write_ids(command.home / "ids", [some[0], some[3]])
        assert dry(command, str(path))["session_ids"] == [some[3], some[0]], "what is queued was there first"
        assert dry(command, str(path), "--limit", "1")["session_ids"] == [some[3]]
        done = command.run("once", "--dry-run", str(path))
        assert done.stdout.split() == [some[3], some[0]]
        assert "2 would be stopped" in done.stderr
        assert sandbox.do(lambda s: dict(s.sends)) == {}


def names_of(sandbox: RunningSandbox) -> list[str]:
    return sorted(sandbox.do(lambda s: list(s.sessions.active)))
