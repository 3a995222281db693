"""A gateway in front of the API, over real sockets: answers of 404 in JSON for sessions that live on."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from reaper.sandbox.faults import Mode
from reaper.sandbox.sessions import Session, generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, kill, write_ids
from tests.support.sandbox import RunningSandbox, running_sandbox, script


def sessions(n: int) -> list[Session]:
    """Sessions that the list shows alive."""
    return [replace(session, status="running") for session in generate(n, 0)]


def ids_of(n: int) -> list[str]:
    return [session.session_id for session in sessions(n)]


def alive(sandbox: RunningSandbox, ids: list[str]) -> set[str]:
    return set(ids) & set(sandbox.do(lambda s: s.sessions.active))


def gone(command: Command) -> list[str]:
    return [one for one, outcome in command.outcomes().items() if outcome == "already_gone"]


@pytest.mark.parametrize("deletes_only", [True, False])
def test_a_gateway_loses_its_routes_for_three_seconds(command: Command, tmp_path: Path, deletes_only: bool) -> None:
    ids = ids_of(300)
    with running_sandbox(sessions(300), latency="50ms") as sandbox:
        aim(command, sandbox, worker__concurrency=8)
        process = command.start("once", "-q", str(write_ids(tmp_path / "ids.txt", ids)))
        eventually(lambda: sandbox.do(lambda s: s.counters.deletes) > 50)
        sandbox.do(lambda s: s.set_mode(Mode.GATEWAY, deletes_only=deletes_only))
        eventually(lambda: command.json("status")["pauses"] != [])
        (pause,) = command.json("status")["pauses"]
        assert pause["reason"] == "wrong_target"
        assert len(gone(command)) <= 5
        sandbox.do(lambda s: s.set_mode(Mode.OK))
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert alive(sandbox, ids) == set()
    command.audit()


def test_one_of_two_replicas_has_no_routes(command: Command, tmp_path: Path) -> None:
    ids = ids_of(120)
    with running_sandbox(sessions(120), latency="10ms", fail="gateway:0.3") as sandbox:
        aim(command, sandbox, worker__concurrency=8, retry__base_s=0.1)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids)), timeout_s=110)
        assert (summary["stopped"], summary["already_gone"]) == (120, 0)
        assert alive(sandbox, ids) == set()
        assert max(sandbox.sends.values()) <= 17
    command.audit()


def test_three_sessions_behind_a_gateway_are_left_for_the_next_run(command: Command, tmp_path: Path) -> None:
    ids = ids_of(3)
    with running_sandbox(sessions(3)) as sandbox:
        sandbox.do(lambda s: s.set_mode(Mode.GATEWAY, deletes_only=True))
        # What is released is due again before the next run begins, which leaves to others what is not due.
        aim(command, sandbox, api__unavailable_wait_s=3, retry__base_s=0.1)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids)), code=69)
        assert (summary["already_gone"], summary["waiting"]) == (0, 3)
        story = command.json("show", ids[0])
        assert (story["round"], story["by"]) == (2, "reaper")
        assert story["reason"] == "a DELETE said that it was gone, and the API's list shows it alive"
        sandbox.do(lambda s: s.set_mode(Mode.OK))
        summary = command.json("once")
        assert summary["stopped"] == 3
        assert alive(sandbox, ids) == set()
    command.audit()


def test_the_next_run_makes_good_what_a_killed_one_booked(command: Command, tmp_path: Path) -> None:
    ids = ids_of(2)
    with running_sandbox(sessions(2)) as sandbox:
        sandbox.do(lambda s: s.set_mode(Mode.GATEWAY, deletes_only=True))
        aim(command, sandbox)
        assert command.run("add", *ids).returncode == 0
        process = command.start("run")
        eventually(lambda: set(gone(command)) == set(ids))
        kill(process)
        sandbox.do(lambda s: s.set_mode(Mode.OK))
        # With the IDs, so that it waits for them too if the daemon had re-opened them just before it was killed.
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids)))
        assert summary["stopped"] == 2, summary
        assert alive(sandbox, ids) == set()
    command.audit()


def test_a_list_that_lags_holds_up_and_ends(command: Command, tmp_path: Path) -> None:
    """Somebody else stopped them; the list shows them for some seconds more."""
    ids = ids_of(20)
    with running_sandbox(sessions(20)) as sandbox:
        script(sandbox, ids, "gateway", "forever")
        aim(command, sandbox, worker__concurrency=4)
        process = command.start("once", "-q", "--json", str(write_ids(tmp_path / "ids.txt", ids)))
        eventually(lambda: len(sandbox.sends) > 3)
        eventually(lambda: command.json("status")["pauses"] != [])
        sandbox.do(lambda s: [s.sessions.stop(one, s.stamp.now()) for one in ids])
        out, _ = process.communicate(timeout=90)
        assert process.returncode == 0, out
    assert set(gone(command)) == set(ids)
    command.audit()


def test_a_set_that_is_gone_says_so(command: Command, tmp_path: Path) -> None:
    with running_sandbox(sessions(5)) as sandbox:
        aim(command, sandbox)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", [f"gone-{n}" for n in range(200)])))
        assert (summary["already_gone"], summary["sends"]) == (200, 200)
        assert summary["notes"] == ["every session of this run was already gone; if that is a surprise: reaper check"]
        assert sandbox.do(lambda s: s.counters.lists) < 10


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_a_storm_of_refusals_leaves_the_backlog(command: Command, tmp_path: Path, status: int) -> None:
    with running_sandbox(sessions(60), latency="20ms", fail=f"{status}:1") as sandbox:
        aim(command, sandbox, worker__concurrency=8, api__unavailable_wait_s=2)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids_of(60))), code=75)
        assert summary["forbidden"] + summary["rejected"] == 20
        assert summary["waiting"] == 40
        assert Counter(sandbox.sends.values())[1] >= 20
    command.audit()


@pytest.mark.slow
def test_a_daemon_compares_within_a_minute(command: Command) -> None:
    """One 404 among others that are stopped asks for no read at once; the minute does."""
    ids = ids_of(30)
    with running_sandbox(sessions(30)) as sandbox:
        script(sandbox, ids[:1], "gateway")
        aim(command, sandbox)
        assert command.run("add", ids[0]).returncode == 0
        process = command.start("run")
        eventually(lambda: gone(command) == ids[:1], 20)
        assert command.run("add", *ids[1:]).returncode == 0
        eventually(lambda: alive(sandbox, ids) == set(), 75)
        assert command.json("show", ids[0])["outcome"] in (None, "stopped")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    command.audit()
