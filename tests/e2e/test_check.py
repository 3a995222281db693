"""`reaper check` and a dry run with files: what is wrong is named with its remedy, and nothing is changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

import pytest

from tests.support.http.byte_server import ByteServer, running
from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import RunningSandbox, running_sandbox


def check(command: Command, *, ok: bool) -> dict[str, str]:
    """Return what was said of each subject."""
    printed = command.json("check", code=0 if ok else 1)
    assert printed["ok"] is ok
    return {line["subject"]: line["text"] for line in printed["lines"]}


def test_before_the_first_run_all_is_well(command: Command) -> None:
    with running_sandbox(1) as sandbox:
        aim(command, sandbox, telemetry__listen="")
        said = check(command, ok=True)
        assert said["queue"].startswith("there is no queue yet")
        assert said["account"].endswith("pinned at the first run")
        assert said["clock"] == "agrees with the server's"
        assert not command.ledger.exists()
        assert command.json("add", "env_1", "--after", "1h")["accepted"] == 1
        said = check(command, ok=True)
        assert said["queue"] == "1 waiting, 0 dead"
        assert said["account"].endswith("none is pinned yet")
        words = [line.split()[0] for line in command.run("check").stdout.splitlines()]
        assert words == ["ok"] * 9
        printed = command.json("check")
        assert printed["run"] == {"stops_sessions": True, "exit": None, "waits": False, "pauses": [], "because": []}
        keys = {"subject", "ok", "warned", "text", "exit", "pause"}
        assert all(line.keys() == keys for line in printed["lines"])


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


def test_a_token_made_up_to_try_it_breaks_no_sentence_about_it(command: Command) -> None:
    with running_sandbox(1) as sandbox:
        aim(command, sandbox)
        for made_up in ("wrong", "bad", "invalid", "test"):
            command.env["ARCHAL_TOKEN"] = made_up
            assert "it is mistyped, revoked or expired; set ARCHAL_TOKEN" in check(command, ok=False)["token"]


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
        warned = check(command, ok=True)["queue"]
        assert "1 accepted and not accounted for; see: reaper audit" in warned, "run works all the same"
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
            "protected": [], "left_by_limit": 0, "discovery": None,
        }  # fmt: skip
        assert not command.ledger.exists()
        command.json("add", some[3])
        path = write_ids(command.home / "ids", [some[0], some[3]])
        assert dry(command, str(path))["session_ids"] == [some[3], some[0]], "what is queued was there first"
        limited = dry(command, str(path), "--limit", "1")
        assert (limited["session_ids"], limited["left_by_limit"]) == ([some[3]], 1)
        done = command.run("once", "--dry-run", str(path))
        assert done.stdout.split() == [some[3], some[0]]
        assert "2 would be stopped" in done.stderr
        (command.home / "spared").write_text(f"{some[0]}\n")
        aim(command, sandbox, protect__file=command.home / "spared")
        found = dry(command, str(path))
        assert (found["session_ids"], found["protected"]) == ([some[3]], [some[0]])
        assert f"1 protected, as {some[0]}" in command.run("once", "--dry-run", str(path)).stderr
        (command.home / "spared").write_text(f"- {some[0]}\n")
        done = command.run("once", "--dry-run", str(path))
        assert (done.returncode, done.stdout) == (78, ""), "as the run itself would end"
        assert sandbox.do(lambda s: dict(s.sends)) == {}


def names_of(sandbox: RunningSandbox) -> list[str]:
    return sorted(sandbox.do(lambda s: list(s.sessions.active)))


def test_the_proxy_is_named_and_its_password_is_not(command: Command) -> None:
    with running_sandbox(1) as sandbox, running(ByteServer([b"HTTP/1.1 403 Forbidden\r\n\r\n"])) as refusing:
        aim(command, sandbox)
        command.env["REAPER_API__PROXY"] = f"http://me:hidden@127.0.0.1:{refusing.port}"
        command.env["REAPER_API__BASE_URL"] = "https://api.invalid"
        said = check(command, ok=False)["api"]
        assert f"https://api.invalid through the proxy http://********@127.0.0.1:{refusing.port}: " in said
        assert "the proxy answered 403 Forbidden to CONNECT" in said
        assert "hidden" not in command.run("check").stdout
