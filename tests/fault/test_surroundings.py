"""Clocks that are wrong or step, too few descriptors, and an input that changes while it is read."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, watch
from tests.support.processes.wrong_clock import wrong_clock
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.mark.parametrize("offset", ["+1h", "-1h", "+10y", "-10y"])
def test_the_clock_is_wrong(command: Command, warm: Warm, offset: str) -> None:
    """Whatever a run's clock says, it stops what it took in and what another took in by the right clock."""
    ids = [f"ses-{number}" for number in range(30)]
    with running_sandbox(map(Session, ids), latency="5ms") as sandbox:
        aim(command, sandbox, worker__concurrency=4)
        right = dict(command.env)
        assert warm.run(command, "add", "-q", *ids[:15]).returncode == 0
        wrong_clock(command).write_text(offset)
        done = command.run("once", "-q", str(write_ids(command.home / "ids.txt", ids)))
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert sandbox.counters.executed == len(ids)
        command.env = right
        assert warm.run(command, "once", "-q").returncode == 0
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=4, sends_per_id=1, same_clock=False),
            run=partial(warm.run, command),
            peak_in_flight=peak(sandbox),
        )


def at_work(sandbox: RunningSandbox, deletes: int) -> bool:
    return sandbox.counters.deletes >= deletes


def test_the_clock_steps(command: Command, warm: Warm) -> None:
    """Under a daemon at work: it goes on, and a step costs nothing."""
    ids, bound = [f"ses-{number}" for number in range(240)], 4
    steps = ["+1h", "+0", "-1h", "+10y", "+0", "-10y", "+0"]
    with running_sandbox(map(Session, ids), latency="30ms") as sandbox:
        watch(command, sandbox, worker__concurrency=bound, retry__base_s=0.1)
        assert warm.run(command, "add", "-q", *ids).returncode == 0
        right = dict(command.env)
        clock = wrong_clock(command)
        with daemon(command) as process:
            for number, step in enumerate(steps, 1):
                eventually(partial(at_work, sandbox, 25 * number))
                time.sleep(0.3)
                clock.write_text(step)
            eventually(lambda: sandbox.counters.executed == len(ids), 60)
            process.terminate()
            assert process.wait(timeout=30) == 0
        command.env = right
        assert warm.run(command, "once", "-q").returncode == 0
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=bound, sends_per_id=1, same_clock=False),
            run=partial(warm.run, command),
            logs=[command.home / "daemon.log"],
            peak_in_flight=peak(sandbox),
        )


def test_few_descriptors(command: Command, warm: Warm) -> None:
    """Connections that cannot be opened are nobody's fault, not charged; if the ledger lacks a file, it ends early."""
    ids = [f"ses-{number}" for number in range(300)]
    with running_sandbox(map(Session, ids), latency="20ms") as sandbox:
        aim(command, sandbox, worker__concurrency=100, retry__base_s=0.05)
        path = str(write_ids(command.home / "ids.txt", ids))
        done = warm.run(command, "once", "-q", path, limits={"RLIMIT_NOFILE": 48})
        assert done.returncode in (0, 69), done.stderr
        assert "Traceback" not in done.stderr
        assert warm.run(command, "once", "-q", path).returncode == 0
        found = settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=100, repeats=48, sends_per_id=1.2),
            run=partial(warm.run, command),
            peak_in_flight=peak(sandbox),
        )
    assert {row["attempts"] for row in found.rows} == {1}


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def rotate(path: Path, text: str) -> None:
    path.rename(path.with_name(f"{path.name}.{time.monotonic_ns()}"))
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    path.with_name("next").write_text(text)
    path.with_name("next").rename(path)


def truncate(path: Path, text: str) -> None:
    path.write_text(text)


def edit(path: Path, text: str) -> None:
    """As an editor does that writes anew: what was there, changed at its beginning, and more."""
    path.write_text("# edited\n" + path.read_text() + text)


CHANGES: list[Callable[[Path, str], None]] = [append, rotate, replace, truncate, edit]


def test_the_input_changes_while_it_is_read(command: Command, warm: Warm, chance: random.Random) -> None:
    """Every line that stood there for the reader to see comes in once."""
    followed = command.home / "follow.txt"
    followed.write_text("")
    given: list[str] = []
    with running_sandbox([]) as sandbox:
        watch(command, sandbox, intake__files=str(followed), intake__poll_s=0.05, worker__concurrency=16)

        def all_came() -> bool:
            return len(sandbox.sends) == len(given)

        with daemon(command):
            for number, change in enumerate([*CHANGES, *chance.choices(CHANGES, k=15)]):
                ids = [f"ses-{number}-{one}" for one in range(chance.choice((1, 10, 400)))]
                if change is not append:
                    # Whoever cuts or replaces a file takes lines away: only what was taken in is promised.
                    eventually(all_came)
                change(followed, "".join(f"{one}\n" for one in ids))
                given += ids
            eventually(all_came)
            eventually(lambda: (command.home / "daemon.log").read_text().count('"session.settled"') == len(given))
        settle_up(
            command,
            sandbox.deletes,
            given,
            Bounds(in_flight=16, sends_per_id=1),
            run=partial(warm.run, command),
            logs=[command.home / "daemon.log"],
            peak_in_flight=peak(sandbox),
        )
