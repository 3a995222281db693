"""The promise, end to end: every ID of a file is stopped or accounted for, whatever the API and the operator do."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.processes.command import TOKEN, Command, aim, kill, write_ids
from tests.support.sandbox import running_sandbox, script
from tests.support.spine import deletes, ids_of, sessions


@pytest.mark.slow
def test_mixed_backlog(command: Command, tmp_path: Path) -> None:
    """5,000 IDs, every kind of answer: the outcomes, the sends and the bound are what the table says."""
    random.seed(7)
    some = sessions(5000, seed=3)
    kinds: dict[str, tuple[list[str], str, range]] = {
        # kind: the script, the outcome, the sends allowed
        "ok": ([], "stopped", range(1, 2)),
        "gone": (["404", "forever"], "already_gone", range(1, 2)),
        "403": (["403", "forever"], "forbidden", range(1, 2)),
        "400": (["400", "forever"], "rejected", range(1, 2)),
        "502 once": (["502"], "stopped", range(2, 3)),
        "502 thrice": (["502", "502", "502"], "stopped", range(4, 5)),
        "502 for ever": (["502", "forever"], "exhausted", range(5, 6)),
        "429": (["429:1"], "stopped", range(2, 3)),
        "reset": (["reset"], "stopped", range(2, 3)),
        "lost": (["lost"], "already_gone", range(2, 3)),
        "hang": (["hang"], "stopped", range(2, 3)),
    }
    rare = [kind for kind, n in {"429": 4, "hang": 6, "502 for ever": 20}.items() for _ in range(n)]
    common = [kind for kind in kinds if kind not in rare and kind != "ok"]
    lot = rare + [kind for kind in common for _ in range(100)]
    lot += ["ok"] * (5000 - len(lot))
    random.shuffle(lot)
    kind_of = dict(zip(ids_of(some), lot, strict=True))
    with running_sandbox(some, latency="80-160ms") as sandbox:
        for one, kind in kind_of.items():
            if kinds[kind][0]:
                script(sandbox, [one], *kinds[kind][0])
        aim(
            command,
            sandbox,
            worker__concurrency=64,
            retry__max_attempts=5,
            retry__base_s=0.1,
            api__timeout_s=3,
            api__connect_timeout_s=2,
        )
        path = write_ids(tmp_path / "ids.txt", ids_of(some))
        summary = command.json("once", str(path), code=3, timeout_s=110)
        sends, peak = sandbox.do(lambda s: (dict(s.sends), s.counters.peak_in_flight))
    outcomes = command.outcomes()
    wrong = {one: (kind, outcomes.get(one)) for one, kind in kind_of.items() if outcomes.get(one) != kinds[kind][1]}
    assert not wrong
    odd = {one: (kind, sends[one]) for one, kind in kind_of.items() if sends[one] not in kinds[kind][2]}
    assert not odd
    assert peak == 64
    expected = Counter(kinds[kind][1] for kind in lot)
    assert {name: summary[name] for name in expected} == dict(expected)
    assert (summary["accepted"], summary["waiting"], summary["sends"]) == (5000, 0, sum(sends.values()))
    assert summary["retries"] == summary["sends"] - len(sends), "a retry is each send of an ID but its first"
    command.audit()


@pytest.mark.slow
def test_killed_again_and_again(command: Command, tmp_path: Path) -> None:
    """kill -9 at random moments: each ID reached the server, has one outcome, and little is sent twice."""
    kills, concurrency = 20, 16
    chance = random.Random(11)
    some = sessions(3000, seed=5)
    path = write_ids(tmp_path / "ids.txt", ids_of(some))
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    log = tmp_path / "deletes.jsonl"
    with running_sandbox(some, latency="10-40ms", fail="502:0.05,reset:0.01,lost:0.01", log_path=log) as sandbox:
        aim(command, sandbox, worker__concurrency=concurrency, retry__base_s=0.1, api__timeout_s=5)
        for _ in range(kills):
            process = command.start("once", "-q", str(path))
            time.sleep(chance.uniform(0.3, 1.6))
            kill(process)
        begun = time.monotonic()
        summary = command.json("once", str(path), timeout_s=110)
        assert time.monotonic() - begun < 60, "a restart waited for a lease of the dead"
        seen = sandbox.do(lambda s: list(s.deletes))
    outcomes = command.outcomes()
    assert set(outcomes) == set(ids_of(some))
    assert set(outcomes.values()) <= {"stopped", "already_gone"}
    final: Counter[str | None] = Counter()
    repeated = 0
    for delete in seen:
        repeated += final[delete.session_id] > 0
        final[delete.session_id] += delete.status in (204, 404)
    assert set(final) == set(ids_of(some))
    assert repeated <= kills * concurrency
    assert summary["waiting"] == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    command.audit()


def test_after_a_kill_the_log_and_the_summary_say_which_of_those_gone_were_sent_before(
    command: Command, tmp_path: Path
) -> None:
    some = sessions(4)
    gone, *others = ids_of(some)
    path = write_ids(tmp_path / "ids.txt", [gone, *others])
    with running_sandbox(some, latency="20ms") as sandbox:
        sandbox.do(lambda s: s.sessions.stop(gone, s.stamp.now()))
        script(sandbox, others, "drip")  # stopped at once, and answered too late
        aim(command, sandbox, worker__concurrency=4)
        process = command.start("once", str(path))
        eventually(lambda: set(sandbox.sends) == {gone, *others})
        eventually(lambda: command.outcomes() == {gone: "already_gone"})
        kill(process)
        again = command.run("once", str(path))
        assert again.returncode == 0, again.stderr
    lines = again.stderr.splitlines()
    after = "already gone (404), after 1 earlier send without a recorded reply"
    assert {one for one in others if any(line.endswith(f"{one}: {after}") for line in lines)} == set(others)
    assert any("3 of the 3 already gone: an earlier send, whose process ended" in line for line in lines), again.stderr
    command.audit()


def test_sigterm_under_load(command: Command, tmp_path: Path) -> None:
    """The first signal lets what is in flight end; the next run sends nothing twice."""
    some = sessions(400)
    path = write_ids(tmp_path / "ids.txt", ids_of(some))
    with running_sandbox(some, latency="300ms") as sandbox:
        aim(command, sandbox, worker__concurrency=32)
        process = command.start("once", str(path))
        eventually(lambda: deletes(sandbox) > 60)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 75, out + err
        assert time.monotonic() - begun < 5
        cut = sandbox.do(lambda s: [d for d in s.deletes if not d.delivered])
        assert cut == []
        command.json("once", str(path))
        assert set(sandbox.do(lambda s: s.sends).values()) == {1}
    command.audit()


def test_sigterm_while_taking_in(command: Command, tmp_path: Path) -> None:
    """Reading from a pipe that stays open: what came is kept, the rest is for the next run."""
    command.env["REAPER_API__BASE_URL"] = "http://127.0.0.1:1"
    process = command.start("once", "--json", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("".join(f"env_{n}\n" for n in range(20_000)))
    process.stdin.flush()
    eventually(lambda: command.ledger.exists() and command.json("status")["ready"] > 0)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 75, out + err
    assert command.json("status")["ready"] == json.loads(out)["accepted"] >= 5_000
    command.audit()


def test_token_rotated_while_running(command: Command, tmp_path: Path) -> None:
    """Revoked mid-run and rotated later: few 401s, nothing charged, all stopped."""
    some = sessions(600)
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    with running_sandbox(some, latency="50ms") as sandbox:
        aim(command, sandbox, worker__concurrency=16, api__token_file=token_file)
        process = command.start("once", str(write_ids(tmp_path / "ids.txt", ids_of(some))))
        eventually(lambda: deletes(sandbox) > 100)
        sandbox.do(lambda s: setattr(s, "token", "another"))
        time.sleep(5)
        token_file.write_text("another\n")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        assert sandbox.do(lambda s: s.counters.unauthorized) <= 16 + 2
        assert sandbox.do(lambda s: s.sessions.active) == []
    # An ID refused once with 401 and stopped by the second send was charged one attempt, not two.
    rows = command.json("outcomes")
    assert {row["attempts"] for row in rows} == {1}
    command.audit()


def test_token_never_rotated(command: Command, tmp_path: Path) -> None:
    some = sessions(50)
    with running_sandbox(some, token="another") as sandbox:
        aim(command, sandbox, api__credentials_wait_s=1)
        summary = command.json("once", str(write_ids(tmp_path / "ids.txt", ids_of(some))), code=77)
        assert (summary["waiting"], summary["sends"]) == (50, 0)
        assert deletes(sandbox) == 0
    command.audit()


def test_the_token_is_nowhere(command: Command, tmp_path: Path) -> None:
    """Not in output at debug level, the ledger, the process title, or any error."""
    secret = "archal_ws_s3cr3t-VALUE"
    some = sessions(40)
    command.env["ARCHAL_TOKEN"] = secret
    heard: list[str] = []
    with running_sandbox(some, token=secret, latency="50ms", fail="502:0.2,reset:0.1,garbage:0.1") as sandbox:
        aim(command, sandbox, retry__base_s=0.05, worker__concurrency=4)
        path = write_ids(tmp_path / "ids.txt", ids_of(some))
        process = command.start("once", "-v", str(path))
        eventually(lambda: deletes(sandbox) > 0)
        heard.append(Path(f"/proc/{process.pid}/cmdline").read_text())
        heard += process.communicate(timeout=60)
        for verb in (["config", "show"], ["config", "show", "--json"], ["check"], ["status"], ["outcomes"]):
            done = command.run(*verb)
            heard += [done.stdout, done.stderr]
    command.env["REAPER_API__BASE_URL"] = f"http://{secret}@example.com"
    for verb in (["check"], ["once", "missing"], ["config", "show"]):
        done = command.run(*verb)
        heard += [done.stdout, done.stderr]
    files = [file for file in (tmp_path / "state").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if secret.encode() in file.read_bytes()]
    assert not [text for text in heard if secret in text]
