"""Queues of the last version before this schema, on three engines.

They are read as they are and migrated by the first that writes, and an old reaper that runs beside a new one ends.
"""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim
from tests.support.processes.daemon import daemon
from tests.support.processes.old_version import fill, old
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import shared_server
from tests.support.sandbox import RunningSandbox, running_sandbox, start_sessions

ENDS_WITHIN_S = 20.0
"""The old version's heartbeat comes every 5 s."""
WAITING = {"env_a", "env_b", "env_c", "null"}
DUE = WAITING | {"env_retry_soon", "env_held"}
LATER = {"env_retry_late", "env_delayed", "env_timed"}


class Stage:
    """A queue of one engine."""

    def __init__(self, engine: str, command: Command) -> None:
        self.command = command
        self.engine = engine
        match engine:
            case "sqlite":
                command.ledger.parent.mkdir(parents=True, mode=0o700)
                self.url = f"sqlite:///{command.ledger}"
            case "postgres":
                self.name = session_server().create_database()
                self.url = session_server().url(self.name)
            case _:
                self.name = f"t{secrets.token_hex(6)}"
                self.url = shared_server().url(self.name)
        command.env["REAPER_QUEUE__URL"] = self.url

    def schema(self) -> int:
        match self.engine:
            case "sqlite":
                with closing(sqlite3.connect(self.command.ledger)) as ledger:
                    return int(ledger.execute("PRAGMA user_version").fetchone()[0])
            case "postgres":
                sql = "SELECT value::text::integer FROM reaper_setting WHERE name = 'schema'"
                return int(session_server().sql(sql, database=self.name)[0][0])
            case _:
                answer = shared_server().ask("HGET", f"{{{self.name}}}:meta", "schema")
                return int(answer.splitlines()[1])

    def close(self) -> None:
        if self.engine == "postgres":
            session_server().empty_database(self.name)


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def stage(request: pytest.FixtureRequest, command: Command) -> Iterator[Stage]:
    made = Stage(request.param, command)
    yield made
    made.close()


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        start_sessions(running, sorted(DUE | LATER | {"env_new"}))
        yield running


OPEN = ("ready", "delayed", "in_flight")
SINCE = {"delayed": {"scheduled", "retrying", "ready"}, "in_flight": {"in_flight", "ready"}}
"""The states that an old one may be called now."""


def test_reading_verbs_read_it_as_it_is(stage: Stage, command: Command) -> None:
    fill(command, stage.url, lease_s=300.0)
    before = old(command).json("status")
    after = command.json("status")
    assert after["dead"] == before["dead"]
    # What the dead process held is ready where its death can be seen; the old version called it in flight.
    assert after["in_flight"] == (0 if stage.engine == "sqlite" else before["in_flight"])
    # One retry is due in a moment, between the two readings perhaps.
    assert sum(after[state] for state in OPEN) == sum(before[state] for state in OPEN)
    assert after["delayed"] in (before["delayed"], before["delayed"] - 1)
    assert {name: n for name, n in after["settled"].items() if n} == {n: k for n, k in before["settled"].items() if k}
    for name in ("env_stopped", "env_refused", "env_retry_late", "env_delayed", "env_timed", "env_held", "null"):
        now, then = _shown(command, name), _shown(old(command), name)
        state, before_state = now.pop("state"), then.pop("state")
        assert state in SINCE.get(before_state, {before_state}), name
        assert now == then
    assert set(command.outcomes()) == {"env_stopped", "env_gone", "env_refused"}
    assert [row["session_id"] for row in _lines(command, "dead", "list")] == ["env_refused"]
    command.audit()
    assert command.run("once", "--dry-run").returncode in (0, 75)
    assert stage.schema() == 1


def test_the_first_that_writes_migrates_it_and_nothing_is_lost(
    stage: Stage, command: Command, sandbox: RunningSandbox
) -> None:
    aim(command, sandbox, api__verify="false")
    fill(command, stage.url)
    assert command.run("add", "env_new").returncode == 0
    assert stage.schema() == 3
    time.sleep(3.0 if stage.engine != "sqlite" else 1.0)  # leases of the dead expire, the short retry is due
    done = command.run("once", "--wait", "10s")
    assert done.returncode == 0, done.stderr
    outcomes = command.outcomes()
    assert outcomes.pop("env_refused") == "forbidden"
    assert outcomes.pop("env_gone") == "already_gone"
    assert outcomes.pop("env_held_cancelled") == "cancelled"
    assert outcomes.pop("env_stopped") == "stopped"
    assert outcomes == dict.fromkeys(DUE | {"env_new"}, "stopped")
    assert {name for name in LATER if command.json("show", name)["state"] != "settled"} == LATER
    assert max(sandbox.sends.values()) == 1
    command.audit()
    refused = old(command).run("add", "env_newer")
    assert refused.returncode == 69
    assert "newer reaper" in refused.stderr


@pytest.mark.parametrize("paused", [False, True])
def test_an_old_reaper_that_runs_ends_with_69(
    stage: Stage, command: Command, sandbox: RunningSandbox, paused: bool
) -> None:
    aim(command, sandbox, api__verify="false")
    fill(command, stage.url)
    if paused:
        assert old(command).run("pause", "--reason", "before the upgrade").returncode == 0
    with daemon(old(command)) as process:
        eventually(lambda: "reaper.ready" in (command.home / "daemon.log").read_text(), 20.0)
        assert command.run("add", "env_new").returncode == 0
        assert process.wait(ENDS_WITHIN_S) == 69
    last = (command.home / "daemon.log").read_text().splitlines()[-1]
    words = {"sqlite": "newer reaper migrated", "postgres": "newer_reaper_migrated", "redis": "replaced while it was"}
    assert words[stage.engine] in last
    command.audit()


def test_a_ledger_on_a_read_only_file_system_is_read_as_it_is(command: Command) -> None:
    stage = Stage("sqlite", command)
    fill(command, stage.url)
    assert old(command).run("status").returncode == 0
    with closing(sqlite3.connect(command.ledger)) as ledger:  # closed cleanly, without a log
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    directory = command.ledger.parent
    mount = f"mount --bind {directory} {directory} && mount -o remount,ro,bind {directory}"
    unshare = ["unshare", "-m", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, mount], capture_output=True, check=False).returncode
    ):
        pytest.skip("a mount needs unshare and root")
    done = subprocess.run(
        [*unshare, f"{mount} && exec {shlex.quote(sys.executable)} -m reaper status --json"],
        env=command.environ(),
        cwd=command.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dead"] == 1


def _shown(command: Command, name: str) -> dict[str, Any]:
    keys = ("state", "outcome", "source", "added_at", "round")
    found = command.json("show", name)
    return {key: found[key] for key in keys}


def _lines(command: Command, *args: str) -> list[dict[str, Any]]:
    found = command.json(*args)
    return found if isinstance(found, list) else [found]
