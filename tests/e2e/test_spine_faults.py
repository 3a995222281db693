"""A server that fails, end to end: answers that are not the API's, outages, and single IDs that fail for ever."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from reaper.sandbox.faults import Mode
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import running_sandbox, script
from tests.support.spine import deletes, ids_of, sessions

FOREIGN = [Mode.HTML_404, Mode.HTML_405, Mode.JSON_404, Mode.HTML_200, Mode.REDIRECT]


@pytest.mark.parametrize("mode", FOREIGN)
def test_not_the_api(command: Command, tmp_path: Path, mode: Mode) -> None:
    """What answers is not the API: no DELETE leaves, nothing is recorded."""
    some = sessions(20)
    with running_sandbox(some) as sandbox:
        sandbox.do(lambda s: s.set_mode(mode))
        aim(command, sandbox, api__unavailable_wait_s=1)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids_of(some))), code=69)
        assert (summary["waiting"], summary["sends"], deletes(sandbox)) == (20, 0, 0)
        assert sandbox.do(lambda s: s.counters.others) == 0, "a redirect was followed"


@pytest.mark.parametrize("mode", FOREIGN)
def test_foreign_answers_mid_run(command: Command, tmp_path: Path, mode: Mode) -> None:
    """They appear while it works: five IDs' worth and what was in flight, then single tries; nothing turns green."""
    some = sessions(400)
    with running_sandbox(some, latency="100ms") as sandbox:
        aim(command, sandbox, worker__concurrency=8, api__unavailable_wait_s=4)
        process = command.start("once", str(write_ids(tmp_path / "ids.txt", ids_of(some))))
        eventually(lambda: deletes(sandbox) > 50)
        sandbox.do(lambda s: s.set_mode(mode, deletes_only=True))
        process.communicate(timeout=60)
        assert process.returncode == 69
        seen = sandbox.do(lambda s: list(s.deletes))
    foreign = [delete for delete in seen if delete.fault == mode.value]
    assert 5 <= len(foreign) <= 5 + 8 + 4
    good = {delete.session_id for delete in seen if delete.status == 204}
    assert set(command.outcomes()) == good
    command.audit()


@pytest.mark.slow
@pytest.mark.parametrize("backlog", [2000, 3])
def test_outage(command: Command, tmp_path: Path, backlog: int) -> None:
    """An outage costs at most five sends and what was in flight; afterwards work is back soon."""
    some = sessions(backlog)
    with running_sandbox(some, latency="20ms") as sandbox:
        if backlog == 3:
            sandbox.do(lambda s: s.set_mode(Mode.OUTAGE, deletes_only=True))
        aim(command, sandbox, worker__concurrency=16, api__unavailable_wait_s=90)
        # -q: nobody reads the log before the end, and a full pipe would stop the process.
        process = command.start("once", "-q", str(write_ids(tmp_path / "ids.txt", ids_of(some))))
        eventually(lambda: deletes(sandbox) > (200 if backlog > 200 else 0))
        sandbox.do(lambda s: s.set_mode(Mode.OUTAGE))
        begun = deletes(sandbox)
        time.sleep(30)
        assert deletes(sandbox) - begun <= 5 + 16
        sandbox.do(lambda s: s.set_mode(Mode.OK))
        ended = deletes(sandbox)
        eventually(lambda: deletes(sandbox) > ended, within_s=10)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert set(command.outcomes().values()) <= {"stopped", "already_gone"}
    command.audit()


def test_an_outage_that_the_checks_before_deletes_meet(command: Command, tmp_path: Path) -> None:
    """Where something is protected, each DELETE follows a GET: its failures leave work, and end a run as others do."""
    some = sessions(40)
    with running_sandbox(some, latency="50ms") as sandbox:
        aim(command, sandbox, worker__concurrency=1, api__unavailable_wait_s=2, protect__globs='["keep-*"]')
        process = command.start("once", "--json", str(write_ids(tmp_path / "ids.txt", ids_of(some))))
        eventually(lambda: deletes(sandbox) > 3)
        sandbox.do(lambda s: s.set_mode(Mode.OUTAGE))
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 69
        summary = json.loads(out)
        assert (summary["waiting"], summary["delayed"]) == (40 - summary["stopped"], 0)
        sandbox.do(lambda s: s.set_mode(Mode.OK))
        assert command.json("once", code=0)["stopped"] == summary["waiting"]


def test_one_that_fails_for_ever(command: Command, tmp_path: Path) -> None:
    some = sessions(500)
    bad = some[17].session_id
    with running_sandbox(some) as sandbox:
        sandbox.do(lambda s: s.script(bad, "502", "forever"))
        aim(command, sandbox, retry__base_s=0.05, retry__max_attempts=6)
        command.json("once", str(write_ids(tmp_path / "ids.txt", ids_of(some))), code=3)
        assert sandbox.do(lambda s: s.sends[bad]) == 6
    outcomes = command.outcomes()
    assert outcomes.pop(bad) == "exhausted"
    assert set(outcomes.values()) == {"stopped"}


def test_only_such_that_fail_are_left_to_the_next_run(command: Command, tmp_path: Path) -> None:
    some = sessions(3)
    with running_sandbox(some) as sandbox:
        script(sandbox, ids_of(some), "502", "forever")
        aim(command, sandbox, retry__base_s=30)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids_of(some))), "--no-wait", code=75)
        assert summary["waiting"] == 3
