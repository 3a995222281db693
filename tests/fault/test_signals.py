"""SIGTERM in every phase, twice, and with a server that hangs; outputs that nobody reads."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import time
from functools import partial

import pytest

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.profile import Profile
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, page, watch
from tests.support.sandbox import running_sandbox, start_sessions

BOUND, PORTION = 8, 40
QUICK = {"api__timeout_s": 4, "api__connect_timeout_s": 2, "worker__drain_timeout_s": 5}


@pytest.mark.timeout(3600)
def test_sigterm_at_random_moments(command: Command, warm: Warm, profile: Profile, chance: random.Random) -> None:
    """However early or late it comes, what is in flight ends, nothing is sent twice and nothing is cut."""
    given: list[str] = []
    codes: dict[int, int] = {}
    with running_sandbox([], latency="5-60ms") as sandbox:
        aim(command, sandbox, worker__concurrency=BOUND, telemetry__listen="")
        took = {}
        for number in range(profile.signals):
            ids = [f"ses-{number}-{one}" for one in range(PORTION)]
            start_sessions(sandbox, ids)
            path = str(write_ids(command.home / "ids.txt", ids))
            assert warm.run(command, "add", "-q", "--from", path).returncode == 0
            given += ids
            sent = sandbox.counters.deletes
            running = warm.start(command, *chance.choice([["run", "-q"], ["once", "-q"], ["once", "-q", path]]))
            time.sleep(chance.uniform(0.0, 0.5))
            begun = time.monotonic()
            running.send_signal(signal.SIGTERM)
            code = warm.wait(running)
            took[f"the end of run {number}"] = (time.monotonic() - begun, 2.0)
            said = running.err.read_text()
            # Before the first DELETE it may end as any program does.
            assert code in (0, 75) or (code == -signal.SIGTERM and sandbox.counters.deletes == sent), (code, said)
            assert "Traceback" not in said
            codes[code] = codes.get(code, 0) + 1
        assert warm.run(command, "once", "-q").returncode == 0
        assert [delete for delete in sandbox.deletes if not delete.delivered] == []
        settle_up(
            command,
            sandbox.deletes,
            given,
            Bounds(in_flight=BOUND, repeats=0, sends_per_id=1),
            run=partial(warm.run, command),
            peak_in_flight=peak(sandbox),
            took=took,
        )
    print(
        f"\n{profile.signals} SIGTERMs at random moments, exit codes {codes}, seed {profile.seed}: none cut, none twice"
    )


@pytest.mark.parametrize("twice", [False, True])
def test_sigterm_while_the_server_hangs(command: Command, warm: Warm, twice: bool) -> None:
    """The first waits for the sends' own deadline; the second does not."""
    ids = [f"ses-{one}" for one in range(40)]
    with running_sandbox(map(Session, ids)) as sandbox:
        sandbox.do(lambda s: s.set_mode("hang", deletes_only=True))
        watch(command, sandbox, worker__concurrency=BOUND, **QUICK)
        assert warm.run(command, "add", *ids).returncode == 0
        with daemon(command) as process:
            sandbox.until(lambda s: s.counters.deletes == BOUND, 30)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            if twice:
                time.sleep(1.2)  # a repeat within a second counts as the same signal
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            took_s = time.monotonic() - begun
        assert sandbox.counters.deletes == BOUND, "it claimed more while draining"
        sandbox.do(lambda s: s.set_mode("ok"))
        # Sends that were given up may have done their work: they are due again.
        path = str(write_ids(command.home / "ids.txt", ids))
        assert warm.run(command, "once", "-q", path).returncode == 0
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=BOUND, sends_per_id=2),
            run=partial(warm.run, command),
            logs=[command.home / "daemon.log"],
            peak_in_flight=peak(sandbox),
            took={"the end": (took_s, 2.7 if twice else 6.0)},
        )


def test_stdout_is_closed(command: Command, warm: Warm) -> None:
    """Whoever read the output has seen enough; the work is done all the same."""
    ids = [f"ses-{one}" for one in range(30)]
    with running_sandbox(map(Session, ids), latency="10ms") as sandbox:
        aim(command, sandbox)
        process = command.start("once", "-v", "--json", str(write_ids(command.home / "ids.txt", ids)))
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        assert process.wait(timeout=60) == 0
        settle_up(command, sandbox.deletes, ids, Bounds(in_flight=32), run=partial(warm.run, command))


@pytest.mark.parametrize("ends", ["it is read at last", "it is never read", "it is killed"])
def test_stderr_that_nobody_reads(command: Command, warm: Warm, ends: str) -> None:
    """A full pipe holds up nothing: all is sent, the pages answer, a signal ends the daemon, the ledger has it."""
    ids = [f"ses-{one}" for one in range(6000)]
    with running_sandbox(map(Session, ids)) as sandbox:
        watch(command, sandbox, worker__concurrency=BOUND, api__timeout_s=5)
        path = str(write_ids(command.home / "ids.txt", ids))
        assert warm.run(command, "add", "-q", "--from", path).returncode == 0
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        process = command.start("run", stderr=writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            sandbox.until(lambda s: s.counters.deletes == len(ids), 60)
            assert page(command, "/livez") == (200, "ok\n")
            eventually(lambda: 'reaper_log_lines_dropped_total{level="warning"} 0.0' in page(command, "/metrics")[1])
            assert 'reaper_log_lines_dropped_total{level="info"} 0.0' not in page(command, "/metrics")[1]
            begun = time.monotonic()
            process.send_signal(signal.SIGKILL if ends == "it is killed" else signal.SIGTERM)
            said = b"" if ends == "it is never read" else pipe.read()
            code = process.wait(timeout=60)
            took_s = time.monotonic() - begun
        process.communicate()
        assert code == (-signal.SIGKILL if ends == "it is killed" else 0)
        if ends == "it is read at last":
            events = [json.loads(line)["event"] for line in said.decode().splitlines()]
            # In either order: the pipe may be read empty before the end is logged, or after it.
            assert sorted(events[-2:]) == ["log.dropped", "reaper.exited"]
            assert events.count("log.dropped") == 1
        if ends == "it is killed":
            assert warm.run(command, "once", "-q", path).returncode == 0
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=BOUND, repeats=4 * BOUND if ends == "it is killed" else 0),
            run=partial(warm.run, command),
            texts={"stderr": said.decode()},
            peak_in_flight=peak(sandbox),
            took={"the end": (took_s, 3.0)},
        )
