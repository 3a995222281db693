"""Two machines on one shared queue, and one of them names another environment: it sends nothing there."""

from __future__ import annotations

import select
import socket
from pathlib import Path

from reaper.sandbox.sessions import generate
from tests.support.fault.engines import Engine
from tests.support.fault.reapers import operator
from tests.support.processes.command import Command
from tests.support.sandbox import running_sandbox


def test_a_machine_at_another_address_sends_nothing_until_it_is_accepted(
    command: Command, engine: Engine, tmp_path: Path
) -> None:
    some = list(generate(6, 6))
    ids = [session.session_id for session in some]
    (tmp_path / "other").mkdir()
    other = Command(tmp_path / "other")
    with running_sandbox(some) as sandbox, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        operator(command, sandbox, engine)
        operator(other, sandbox, engine)
        assert command.json("add", *ids)["accepted"] == 6
        assert command.json("once", "--limit", "2", code=75)["stopped"] == 2
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        other.env |= {"REAPER_API__BASE_URL": url, "REAPER_API__TIMEOUT_S": "1", "REAPER_API__CONNECT_TIMEOUT_S": "1"}
        done = other.run("once")
        assert done.returncode == 69, done.stderr
        assert sandbox.url in done.stderr
        assert url in done.stderr
        assert not select.select([elsewhere], [], [], 0)[0], "somebody connected"
        assert f"accepted: {url}" in other.run("check", "--accept-target", "--yes").stdout
        assert command.run("once").returncode == 69, "the first machine is now the one at another address"
        assert command.run("check", "--accept-target").returncode == 0
        assert command.json("once")["stopped"] == 4
        command.audit()
