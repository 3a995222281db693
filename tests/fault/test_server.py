"""A server that works badly: mixed faults by the thousand, a storm, odd pieces of advice, tokens that change."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reaper.sandbox.sessions import Session
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.profile import Profile
from tests.support.fault.warm import Warm
from tests.support.processes.command import TOKEN, Command, aim, write_ids
from tests.support.sandbox import running_sandbox, script, start_sessions

MIXED = (
    "502:0.06,500:0.04,503:0:0.03,504:0.02,408:0.01,425:0.01,429:0:0.0005,reset:0.04,lost:0.03,garbage:0.03,"
    "drip:0.001:0.015,slow:0.05:0.004,hang:0.001"
)
PORTION = 5_000
QUICK = {"api__timeout_s": 2, "api__connect_timeout_s": 1, "worker__drain_timeout_s": 3, "retry__base_s": 0.05}


@pytest.mark.timeout(3600)
def test_three_in_ten_fail(command: Command, warm: Warm, profile: Profile) -> None:
    """Nothing ends in a dead letter, and what is sent more than once is what the faults ask for."""
    begun, ids = time.monotonic(), list[str]()
    with running_sandbox([], seed=profile.seed, fail=MIXED) as sandbox:
        aim(command, sandbox, worker__concurrency=64, **QUICK)
        while (requests := sandbox.counters.deletes) < profile.requests:
            some = [f"ses-{len(ids) + one}" for one in range(min(PORTION, profile.requests - requests))]
            start_sessions(sandbox, some)
            ids += some
            done = warm.run(command, "once", "-q", "--json", str(write_ids(command.home / "ids.txt", some)))
            assert done.returncode == 0, done.stdout + done.stderr
        deletes = sandbox.deletes
        faults = Counter(delete.fault for delete in deletes)
        found = settle_up(
            command,
            deletes,
            ids,
            Bounds(in_flight=64, repeats=faults["lost"] + faults["drip"] + len(ids) // 500, sends_per_id=1.6),
            run=partial(warm.run, command),
            peak_in_flight=peak(sandbox),
        )
    assert {row["outcome"] for row in found.rows} <= {"stopped", "already_gone"}
    assert 1 - faults[None] / len(deletes) > 0.25
    print(
        f"\n{len(deletes)} DELETEs for {len(ids)} IDs, {1 - faults[None] / len(deletes):.0%} of them failed, "
        f"{time.monotonic() - begun:.0f} s, seed {profile.seed}: 0 lost, 0 doubled"
    )


def in_place(path: Path, token: str) -> None:
    path.write_text(token)


def rename_over(path: Path, token: str) -> None:
    path.with_name("new").write_text(token)
    path.with_name("new").rename(path)


def swap_link(path: Path, token: str) -> None:
    """As Kubernetes does: the file is a link through a linked directory, and that link is swapped."""
    folder = path.parent / f"..{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "token").write_text(token)
    (path.parent / "..new").symlink_to(folder.name)
    os.rename(path.parent / "..new", path.parent / "..data")
    if not path.is_symlink():
        path.symlink_to("..data/token")


@pytest.mark.parametrize("rotate", [in_place, rename_over, swap_link])
def test_the_token_is_rotated(command: Command, warm: Warm, rotate: Callable[[Path, str], None]) -> None:
    """Refused in the middle of the work, then rotated: few are refused, none is charged, and neither token is shown."""
    ids = [f"ses-{number}" for number in range(200)]
    folder = command.home / "secret"
    folder.mkdir()
    rotate(folder / "token", TOKEN)
    with running_sandbox(map(Session, ids), latency="30ms") as sandbox:
        aim(command, sandbox, worker__concurrency=8, api__token_file=folder / "token")
        running = warm.start(command, "once", "-v", str(write_ids(command.home / "ids.txt", ids)))
        sandbox.until(lambda s: s.counters.deletes > 50, 30)
        sandbox.do(lambda s: setattr(s, "token", "archal_ws_second"))
        sandbox.until(lambda s: s.counters.unauthorized > 0, 30)
        time.sleep(0.5)
        begun = time.monotonic()
        rotate(folder / "token", "archal_ws_second")
        sent = sandbox.counters.executed
        sandbox.until(lambda s: s.counters.executed > sent, 20)
        took = {"the new token": (time.monotonic() - begun, 6.0)}
        assert warm.wait(running) == 0
        assert sandbox.counters.unauthorized <= 8 + 4
        found = settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=8, sends_per_id=1.1),
            run=partial(warm.run, command),
            logs=[running.err],
            secrets=(TOKEN, "archal_ws_second"),
            peak_in_flight=peak(sandbox),
            took=took,
        )
    assert {row["attempts"] for row in found.rows} == {1}


SHORT = ["0", "-5", "1.5", "0x10", "soon", "1, 2", "1 second", "1e3", "NaN", "Wed, 21 Oct 2015 07:28:00 GMT", "99:99"]
LONG = ["3600", "99999999999999999999", "Fri, 31 Dec 2199 23:59:59 GMT"]


def test_odd_times_to_wait(command: Command, warm: Warm) -> None:
    """A Retry-After that is no time, or one in the past, is a second; the work goes on."""
    ids = [f"ses-{number}" for number in range(len(SHORT) * 2)]
    with running_sandbox(map(Session, ids)) as sandbox:
        for number, value in enumerate(SHORT):
            script(sandbox, [ids[number]], f"429:{value}")
            script(sandbox, [ids[number + len(SHORT)]], f"503:{value}")
        aim(command, sandbox, worker__concurrency=32, retry__base_s=0.05)
        begun = time.monotonic()
        done = warm.run(command, "once", "-q", str(write_ids(command.home / "ids.txt", ids)))
        assert done.returncode == 0, done.stderr
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=32, sends_per_id=2),
            run=partial(warm.run, command),
            took={"all": (time.monotonic() - begun, 30.0)},
        )


@pytest.mark.parametrize("value", LONG)
def test_long_times_to_wait(command: Command, warm: Warm, value: str) -> None:
    """However long: the ID stays queued, is not sent before, and nobody waits for more than a quarter of an hour."""
    ids = [f"ses-{number}" for number in range(6)]
    with running_sandbox(map(Session, ids)) as sandbox:
        sandbox.do(lambda s: s.script(ids[0], f"503:{value}"))
        sandbox.do(lambda s: s.script(ids[1], f"429:{value}", "forever"))
        aim(command, sandbox, worker__concurrency=1, retry__base_s=0.05)
        path = str(write_ids(command.home / "ids.txt", ids))
        done = warm.run(command, "once", "-q", "--for", "2", "--json", path)
        assert done.returncode == 75, done.stdout + done.stderr
        assert len(sandbox.deletes) <= 2
        shown = warm.run(command, "show", ids[0])
        assert "in 0 s" not in shown.stdout
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=1, sends_per_id=1),
            run=partial(warm.run, command),
            settled=False,
            texts={"show": shown.stdout},
        )
