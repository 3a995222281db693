"""Sweeps that meet another account, or an API that does not say whose the token is."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, events, watch
from tests.support.sandbox import running_sandbox, switch_account
from tests.support.sessions import ids, live, sent


def test_the_token_of_another_account_stops_nothing(command: Command, tmp_path: Path) -> None:
    some = live(5)
    with running_sandbox(some) as sandbox:
        aim(command, sandbox, api__unavailable_wait_s=1)
        assert command.json("once", str(write_ids(tmp_path / "first", [some[0].session_id])))["stopped"] == 1
        # The same address, another account: each of the first one's sessions is a 404 to it.
        sandbox.do(lambda s: switch_account(s, "usr_other"))
        path = write_ids(tmp_path / "ids", [one.session_id for one in some[1:]])
        done = command.run("once", str(path), "--json")
        assert done.returncode == 69, done.stderr
        assert "usr_other" in done.stderr
        assert "usr_sandbox" in done.stderr
        assert json.loads(done.stdout)["already_gone"] == 0
        assert len(sent(sandbox)) == 1
        check = command.run("check")
        assert check.returncode == 1
        assert "--accept-target" in check.stdout
        assert command.run("check", "--accept-target").returncode == 0
        assert command.json("once")["already_gone"] == 4


def test_a_sweep_that_meets_another_account_holds_up_the_whole_daemon(command: Command) -> None:
    """The same token, another account behind the address: no send may record a session as gone."""
    some = live(2)
    with running_sandbox(some) as sandbox:
        watch(command, sandbox, discovery__enabled="true", discovery__interval_s=1, telemetry__log_format="json")
        with daemon(command):
            eventually(lambda: len(events(command, "sweep.judged")) >= 1)
            sandbox.do(lambda s: switch_account(s, "usr_other"))
            eventually(lambda: [p["reason"] for p in command.json("status")["pauses"]] == ["wrong_target"])
            command.json("add", *sorted(ids(some)))
            stopped = len(events(command, "sweep.stopped"))
            eventually(lambda: len(events(command, "sweep.stopped")) >= stopped + 2)
            assert sent(sandbox) == set()
            assert command.run("check", "--accept-target").returncode == 0
            eventually(lambda: sent(sandbox) == ids(some))
    command.audit()


def test_an_api_that_does_not_tell_whose_the_token_is_is_told_of_once(command: Command) -> None:
    some = live(3)
    with running_sandbox(some, user_id=None) as sandbox:
        aim(command, sandbox, telemetry__log_format="json")
        command.json("add", *sorted(ids(some)))
        done = command.run("once", "--json")
        assert json.loads(done.stdout)["stopped"] == 3
        assert done.stderr.count("account.untold") == 1
