"""Many reapers on one queue, while they and the engine under them are killed, stopped and left alone."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.fault.checker import Bounds
from tests.support.fault.engines import Engine
from tests.support.fault.profile import Profile
from tests.support.fault.reapers import Reapers, check_all_stopped, operator, waiting
from tests.support.processes.command import Command, write_ids
from tests.support.processes.daemon import page
from tests.support.sandbox import running_sandbox

pytestmark = pytest.mark.timeout(900)

ENGINE_LIFE_S = 5.0
"""What is killed lives about so long: the start of four reapers is part of it."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_reapers_and_engine_are_killed(
    command: Command, engine: Engine, profile: Profile, chance: random.Random, tmp_path: Path
) -> None:
    """4 reapers; one of them is killed every second or so, the engine now and then."""
    count, bound = 4, 16
    some = list(generate(profile.ids, profile.seed))
    ids = [session.session_id for session in some]
    with running_sandbox(some, latency="50-150ms", fail="502:0.05,reset:0.01,lost:0.01") as sandbox:
        operator(command, sandbox, engine)
        added = command.json("add", "--from", str(write_ids(tmp_path / "ids.txt", ids)))
        assert added["accepted"] == len(ids)
        rate_per_s = len(ids) / (profile.engine_kills + 1) / ENGINE_LIFE_S / count
        slowly = {"worker__concurrency": bound, "worker__rate_per_s": rate_per_s, "retry__base_s": 0.2}
        reapers = Reapers(tmp_path, sandbox, engine, count, **slowly)
        kills = engine_kills = 0
        try:
            begun = time.monotonic()
            left: int | None = len(ids)
            calm = len(ids) // 20  # at last they are left alone
            while left is None or left:
                time.sleep(chance.uniform(0.5, 1.5))
                if left is None or left > calm:
                    reapers.kill(chance.randrange(count))
                    kills += 1
                    due = calm + (len(ids) - calm) * (profile.engine_kills - engine_kills) // (profile.engine_kills + 1)
                    if engine_kills < profile.engine_kills and (left or 0) < due:
                        engine.kill()
                        engine_kills += 1
                        time.sleep(chance.uniform(0.0, 2.0))
                        engine.start()
                reapers.restart_the_ended()
                left = waiting(command)
                assert time.monotonic() - begun < len(ids) / 10 + 600, (left, kills, engine_kills)
        finally:
            reapers.close()
        assert kills >= 2
        assert engine_kills == profile.engine_kills
        bounds = Bounds(in_flight=count * bound, repeats=(kills + count * engine_kills) * bound)
        check_all_stopped(command, sandbox, ids, reapers, bounds)
    print(
        f"\n{len(ids)} IDs, {kills} reapers and {engine_kills} engines killed, seed {profile.seed}: 0 lost, 0 doubled"
    )


def test_a_reaper_that_slept_past_its_lease_settles_nothing(command: Command, engine: Engine, tmp_path: Path) -> None:
    some = list(generate(1, 3))
    with running_sandbox(some, latency="1500ms") as sandbox:
        operator(command, sandbox, engine)
        command.json("add", some[0].session_id)
        reapers = Reapers(tmp_path, sandbox, engine, 1)
        try:
            sandbox.until(lambda s: s.counters.deletes == 1, 30)
            sleeper = reapers.running[0]
            sleeper.send_signal(signal.SIGSTOP)
            assert command.json("once", "--wait", "20", timeout_s=60)["already_gone"] == 1
            sleeper.send_signal(signal.SIGCONT)
            eventually(lambda: len(reapers.events("session.lease_lost")) == 1)
        finally:
            reapers.close()
        check_all_stopped(command, sandbox, [some[0].session_id], reapers, Bounds(in_flight=2, repeats=1))
        assert command.outcomes() == {some[0].session_id: "already_gone"}
        assert sandbox.do(lambda s: dict(s.sends)) == {some[0].session_id: 2}


def test_an_engine_that_is_away_is_waited_for(command: Command, engine: Engine, tmp_path: Path) -> None:
    some = list(generate(80, 4))
    ids = [session.session_id for session in some]
    bound = 4
    with running_sandbox(some, latency="300ms") as sandbox:
        operator(command, sandbox, engine)
        command.json("add", *ids)
        reapers = Reapers(tmp_path, sandbox, engine, 1, worker__concurrency=bound, queue__lease_s=30)
        daemon = reapers.commands[0]
        try:
            sandbox.until(lambda s: s.counters.deletes >= 20, 30)
            engine.kill()
            eventually(lambda: page(daemon, "/readyz")[0] == 503)
            sent = sandbox.do(lambda s: s.counters.deletes)
            busy = cpu_s(reapers.running[0].pid)
            time.sleep(5)
            assert cpu_s(reapers.running[0].pid) - busy < 1.2, "it turns in a busy loop"
            assert sandbox.do(lambda s: s.counters.deletes) <= sent + 2 * bound
            assert page(daemon, "/livez")[0] == 200
            assert "reaper_queue_available 0.0" in page(daemon, "/metrics")[1]
            done = command.run("once", "--json")
            assert done.returncode == 69, done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            engine.start()
            eventually(lambda: waiting(command) == 0, 60)
            assert page(daemon, "/readyz")[0] == 200
        finally:
            reapers.close()
        assert [len(reapers.events(name)) for name in ("queue.unavailable", "queue.recovered")] == [1, 1]
        assert set(sandbox.do(lambda s: s.sends).values()) == {1}, "an answer that was kept is not asked for again"
        check_all_stopped(command, sandbox, ids, reapers, Bounds(in_flight=bound))


@pytest.mark.parametrize("twice", [False, True])
def test_an_engine_that_hangs_does_not_keep_a_reaper_that_is_to_end(
    command: Command, engine: Engine, tmp_path: Path, twice: bool
) -> None:
    """The first signal waits for the drain, the second does not; supervisors kill what lasts for 40 s."""
    some = list(generate(200, 6))
    ids = [session.session_id for session in some]
    bound = 4
    with running_sandbox(some, latency="200ms") as sandbox:
        operator(command, sandbox, engine)
        command.json("add", *ids)
        reapers = Reapers(tmp_path, sandbox, engine, 1, worker__concurrency=bound)
        process = reapers.running[0]
        try:
            sandbox.until(lambda s: s.counters.deletes >= 20, 30)
            with engine.frozen():
                time.sleep(0.5)
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                if twice:
                    time.sleep(1.2)  # a repeat within a second counts as the same signal
                    process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) in (0, 69)
                took_s = time.monotonic() - begun
            assert command.json("once", "--wait", "20", timeout_s=60)["exit"] == 0
        finally:
            reapers.close()
        assert took_s < (1.2 + 8 if twice else 6 + 10)
        check_all_stopped(command, sandbox, ids, reapers, Bounds(in_flight=2 * bound + 32, repeats=4 * bound))


def test_an_operators_pause_stops_all_reapers(command: Command, engine: Engine, tmp_path: Path) -> None:
    some = list(generate(1_000, 5))
    with running_sandbox(some, latency="100ms") as sandbox:
        operator(command, sandbox, engine)
        ids = write_ids(tmp_path / "ids.txt", [session.session_id for session in some])
        command.json("add", "--from", str(ids))
        reapers = Reapers(tmp_path, sandbox, engine, 3, worker__concurrency=4)
        try:
            sandbox.until(lambda s: s.counters.deletes >= 50, 30)
            assert command.run("pause", "--reason", "test").returncode == 0
            eventually(lambda: len(reapers.events("api.paused")) == 3)
            time.sleep(1)  # what was in flight ends
            sent = sandbox.do(lambda s: s.counters.deletes)
            time.sleep(2)
            assert sandbox.do(lambda s: s.counters.deletes) == sent
            assert len(reapers.events("api.paused")) == 3
            assert command.run("resume").returncode == 0
            sandbox.until(lambda s: s.counters.deletes > sent + 50, 10)
        finally:
            reapers.close()
        assert "reaper" in command.run("status").stdout


def cpu_s(pid: int) -> float:
    """Return what a process has used of the processor, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
