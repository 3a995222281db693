"""A disk that is full, fails, cannot be written, is gone, or returned other bits: one sentence, and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from functools import partial

import pytest

from reaper.sandbox.sessions import Session
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.profile import Profile
from tests.support.fault.tracing import traced
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, events, watch
from tests.support.programs import missing
from tests.support.sandbox import running_sandbox, script, start_sessions

BOUND, PORTION = 3, 6
FULL = "inject=pwrite64,ftruncate:error=ENOSPC:when={}+"
FAILING = "inject=fsync,fdatasync:error=EIO:when={}"


def plain(said: str) -> None:
    """Check the output against the house's rule: sentences, no traceback."""
    assert "Traceback" not in said, said
    assert "internal error" not in said, said


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("fault", "word"), [(FULL, "full"), (FAILING, "disk")])
def test_the_disk_refuses_at_the_nth_call(
    command: Command, warm: Warm, profile: Profile, fault: str, word: str
) -> None:
    """From the nth write on it is full; or one sync fails. What was sent is sent again once at most; all ends well."""
    points, number, hit = 0, 1 + profile.seed % profile.every, True
    with running_sandbox([], latency="5ms") as sandbox:
        # On a disk that stays full a run ends when it has waited for it, and for what it could not write.
        waits = {"api__unavailable_wait_s": 0.5, "api__timeout_s": 1, "worker__drain_timeout_s": 1.5}
        aim(command, sandbox, worker__concurrency=BOUND, retry__base_s=0.01, **waits)
        while hit:
            shutil.rmtree(command.ledger.parent, ignore_errors=True)
            ids = [f"point-{number}-{one}" for one in range(PORTION)]
            start_sessions(sandbox, ids)
            path = str(write_ids(command.home / "ids.txt", ids))
            inject = fault.format(number)
            done = traced(warm, command, "once", "-q", path, options=["-e", inject, "-e", "trace=" + calls_of(inject)])
            hit = done.hit
            plain(done.err)
            if done.code != 0:
                assert done.code in (69, 75), (done.code, done.err)
                assert word in done.err, done.err
            elif hit:
                assert len(sandbox.do(lambda s: s.sessions.active)) == 0
            points += hit
            after = warm.run(command, "once", "-q", path)
            assert after.returncode == 0, after.stderr
            settle_up(
                command,
                [delete for delete in sandbox.deletes if (delete.session_id or "").startswith(f"point-{number}-")],
                ids,
                Bounds(in_flight=BOUND, repeats=BOUND * 2, sends_per_id=2),
                run=partial(warm.run, command),
                texts={"stderr": done.err},
                peak_in_flight=peak(sandbox),
            )
            number += profile.every if fault is FULL else max(1, profile.every // 4)
    assert points
    print(f"\n{points} points at which the disk refuses ({word}), every {profile.every}: 0 lost, 0 doubled")


def calls_of(inject: str) -> str:
    return inject.removeprefix("inject=").partition(":")[0]


def test_the_state_directory_cannot_be_written(command: Command, warm: Warm) -> None:
    """A read-only file system: reading goes on, writing is refused in a sentence, and nothing is sent."""
    ids = [f"ses-{number}" for number in range(5)]
    with running_sandbox(map(Session, ids)) as sandbox:
        aim(command, sandbox)
        path = str(write_ids(command.home / "ids.txt", ids))
        assert warm.run(command, "add", "-q", "--from", path).returncode == 0
        state = str(command.ledger.parent)
        reaper = f"exec {shutil.which('env')} python -m reaper"
        script = f'mount --bind "{state}" "{state}" && mount -o remount,bind,ro "{state}" && {reaper} "$@"'
        words = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
        environ = {**command.environ(), "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}

        def run(*args: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*words, *args], env=environ, cwd=command.home, capture_output=True, text=True, check=False
            )

        tried = run("--version")
        if tried.returncode:
            missing("unshare", f"cannot mount here: {tried.stderr.strip()}")
        for verb in (["once", "-q", path], ["run", "-q"], ["add", "more"]):
            done = run(*verb)
            plain(done.stderr)
            assert done.returncode == 69, (verb, done.stdout, done.stderr)
            assert str(command.ledger) in done.stderr, done.stderr
        assert sandbox.deletes == []
        plain(run("status").stderr)
        assert warm.run(command, "once", "-q", path).returncode == 0
        settle_up(command, sandbox.deletes, ids, Bounds(sends_per_id=1), run=partial(warm.run, command))


@pytest.mark.parametrize("way", ["ledger", "log", "directory", "replaced", "restored over"])
def test_the_ledger_goes_away_under_a_daemon(command: Command, warm: Warm, way: str) -> None:
    """It ends at once with 69 and says so, with the answers that it could not write; the next one goes on with all."""
    ids, state = [f"ses-{number}" for number in range(200)], command.ledger.parent
    with running_sandbox(map(Session, [*ids, "new"]), latency="20ms") as sandbox:
        watch(command, sandbox, worker__concurrency=4)
        path = str(write_ids(command.home / "ids.txt", ids))
        assert warm.run(command, "add", "-q", "--from", path).returncode == 0
        other = command.home / "other.db"
        if way in ("replaced", "restored over"):
            assert warm.run(command, "add", "-q", "new", "--queue", f"sqlite://{other}").returncode == 0
        with daemon(command) as process:
            sandbox.until(lambda s: s.counters.deletes > 50, 30)
            match way:
                case "ledger" | "log":
                    for suffix in ("-wal", "-shm") if way == "log" else ("", "-wal", "-shm"):
                        os.unlink(f"{command.ledger}{suffix}")
                case "directory":
                    shutil.rmtree(state)
                case "replaced":
                    os.rename(other, command.ledger)
                case _:
                    backup = command.home / "backup.db"
                    done = warm.run(command, "queue", "backup", str(backup), "--queue", f"sqlite://{other}")
                    assert done.returncode == 0
                    shutil.copyfile(backup, command.ledger)
            assert process.wait(timeout=10) == 69
        plain((command.home / "daemon.log").read_text())
        assert len(events(command, "queue.unavailable")) == 1
        assert events(command, "session.unwritten") or len(sandbox.deletes) == len(
            {d.session_id for d in sandbox.deletes}
        )
        # Of a directory that is gone nothing could be put back, and of a replaced ledger nothing is mixed in.
        again = len({delete.session_id for delete in sandbox.deletes}) if way == "directory" else 8
        if way in ("replaced", "restored over"):
            assert warm.run(command, "once", "-q").returncode == 0
            assert [delete.session_id for delete in sandbox.deletes][-1] == "new"
            assert warm.run(command, "audit").returncode == 0
            return
        once = ("once", "-q", path) if way == "directory" else ("once", "-q")
        assert warm.run(command, *once).returncode == 0
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=32, repeats=again, sends_per_id=2),
            run=partial(warm.run, command),
        )


@pytest.mark.timeout(3600)
def test_bits_that_flipped(command: Command, warm: Warm, profile: Profile, chance: random.Random) -> None:
    """A ledger with flipped bits is refused in a sentence, or found at fault, or right in all that was read of it."""
    ids = [f"ses-{number}" for number in range(200)]
    with running_sandbox(map(Session, ids)) as sandbox:
        script(sandbox, ids[::10], "403")
        aim(command, sandbox, worker__concurrency=32)
        path = str(write_ids(command.home / "ids.txt", ids[:150]))
        assert warm.run(command, "once", "-q", path).returncode == 3
        assert warm.run(command, "add", "-q", *ids[150:]).returncode == 0
    whole = command.ledger.read_bytes()
    assert not command.ledger.with_name("reaper.db-wal").exists(), "what counts would not all be in the file"
    sound = (warm.run(command, "audit", "--json").stdout, settled(warm.run(command, "outcomes", "--json").stdout))
    seen = {"refused": 0, "found": 0, "unharmed": 0}
    for number in range(profile.flips):
        flipped = bytearray(whole)
        for _ in range(chance.choice((1, 1, 8, 64))):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        shutil.rmtree(command.ledger.parent)
        command.ledger.parent.mkdir(0o700)
        command.ledger.write_bytes(flipped)
        audit, outcomes, status = (warm.run(command, verb, "--json") for verb in ("audit", "outcomes", "status"))
        for done in (audit, outcomes, status):
            plain(done.stderr)
            assert done.returncode in (0, 1, 69), done.stderr
        if audit.returncode == outcomes.returncode == 0:
            assert (audit.stdout, settled(outcomes.stdout)) == sound, f"flip {number} passes as right"
            seen["unharmed"] += 1
        else:
            seen["found" if audit.returncode == 1 else "refused"] += 1
    assert seen["refused"] + seen["found"]
    print(f"\n{profile.flips} ledgers with bits flipped, seed {profile.seed}: {seen}")


def settled(said: str) -> dict[str, str]:
    """Free text has no second place that shows a change; the outcome of an ID has."""
    rows = [json.loads(line) for line in said.splitlines()]
    return {row["session_id"]: row["outcome"] for row in rows}
