"""The operators' commands as processes: what they print, in words and as JSON, and how they exit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from functools import partial

import anyio
from anyio import to_thread

from reaper.core.model import Outcome, Pause, PauseReason, Send, Settle
from reaper.core.version import __version__
from reaper.queues.open import open_queue
from tests.support.processes.command import Command
from tests.support.processes.ledger import ledger, settle
from tests.support.queues.harness import ended

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
WHOLE = {"dry_run": False, "interrupted": False}
NO_OUTCOMES = dict.fromkeys((outcome.value for outcome in Outcome), 0)


def test_add_names_duplicates_counts_invalid_and_names_the_new_ledger(command: Command) -> None:
    first = command.run("add", "ses-1", "ses-2", "bad/id", "--after", "4h")
    assert first.returncode == 3
    assert first.stdout == "2 accepted, 0 duplicate, 1 invalid\n"
    assert f"created the ledger {command.ledger}" in first.stderr
    assert "argument 3: bad/id: character 4 is '/'" in first.stderr
    second = command.run("add", "ses-1")
    assert second.returncode == 0
    assert re.match(
        r"ses-1: known already: scheduled, due in (3 h 59 m|4 h); to change that: reaper postpone ses-1 --after 0\n"
        r"0 accepted, 1 duplicate, 0 invalid\n",
        second.stdout,
    )
    assert second.stderr == ""


def test_add_reads_files_and_stdin_with_times(command: Command) -> None:
    (command.home / "ids").write_text('ses-1\n# comment\n{"id": "ses-2", "due_at": "2040-01-01T00:00:00Z"}\n')
    done = command.run(
        "add", "--from", "ids", "--from", "-", "--at", "2041-01-01T00:00:00Z", stdin="ses-3\r\n", timeout_s=30
    )
    assert (done.returncode, done.stdout) == (0, "3 accepted, 0 duplicate, 0 invalid\n")
    dues = {one: command.json("show", one)["due_at"][:16] for one in ("ses-2", "ses-3")}
    assert dues["ses-2"] == "2040-01-01T00:00"
    assert dues["ses-3"] in ("2041-01-01T00:00", "2040-12-31T23:59")
    assert command.run("add", "--from", "missing").returncode == 2
    assert command.run("add").returncode == 2
    assert command.run("add", "a1", "--after", "soon").returncode == 2


def test_status_and_show_as_json(command: Command) -> None:
    command.json("add", "ses-1")
    command.json("add", "ses-2", "--after", "1h")
    status = command.json("status")
    assert status.pop("oldest_due_s") > 0
    assert INSTANT.fullmatch(status.pop("next_scheduled_at"))
    assert status.pop("queue").startswith("sqlite:///")
    assert status == {
        "target": None, "account": None, "version": __version__, "workers": [], "ready": 1, "scheduled": 1,
        "retrying": 0, "delayed": 1, "in_flight": 0, "dead": 0, "settled": NO_OUTCOMES, "next_retry_at": None,
        "pauses": [], "limit": None, "imbalance": 0, "holds": [], "hold_count": 0, "ghosts": [], "ghost_count": 0,
        "unproven_gone": 0, "intake_missing": [], "spool_refused": None, "disk_fault": None, "profile": None,
    }  # fmt: skip
    item = command.json("show", "ses-1")
    assert INSTANT.fullmatch(item.pop("added_at"))
    assert INSTANT.fullmatch(item.pop("due_at"))
    assert item == {
        "session_id": "ses-1", "state": "ready", "outcome": None, "source": "add", "round": 1, "sends": [],
    }  # fmt: skip
    unknown = command.run("show", "ses-9")
    assert (unknown.returncode, unknown.stdout) == (3, "")
    assert "ses-9 is unknown here" in unknown.stderr
    several = command.run("show", "ses-2", "ses-9", "ses-1", "--json")
    assert several.returncode == 3
    assert [line["session_id"] for line in map(json.loads, several.stdout.splitlines())] == ["ses-2", "ses-1"]


def test_after_a_kill_nothing_of_the_dead_process_is_in_flight(command: Command) -> None:
    command.json("add", "ses-1", "ses-2", "ses-3")
    program = (
        "import anyio, sys\nfrom reaper.queues.open import open_queue\n"
        "async def main():\n"
        "    queue = (await open_queue(sys.argv[1], create=False, read_only=False, worker=True)).queue\n"
        "    await queue.heartbeat(8, [])\n"
        "    await queue.claim(2, lease_s=600)\n"
        "    print('claimed', flush=True)\n"
        "    await anyio.sleep(60)\n"
        "anyio.run(main)\n"
    )
    url = f"sqlite://{command.ledger}"
    with subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True) as claimer:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "claimed\n"
        status = command.json("status")
        assert (status["ready"], status["in_flight"], status["limit"]) == (1, 2, 8)
        (worker,) = status["workers"]
        assert (worker["host"], worker["pid"], worker["in_flight"]) == (os.uname().nodename, claimer.pid, 2)
        claimer.kill()
        claimer.wait()
    status = command.json("status")
    assert (status["ready"], status["in_flight"], status["limit"], status["workers"]) == (3, 0, None, [])
    shown = command.run("show", "ses-1").stdout
    assert "ses-1: ready, due now" in shown
    assert "1 send has no recorded reply: the process ended before it" in shown
    assert "the next run takes it at once: reaper run, or reaper once" in shown


def test_postpone_and_cancel(command: Command) -> None:
    command.json("add", "ses-1", "ses-2")
    assert command.run("postpone", "ses-1", "--after", "30m").stdout == "ses-1: due in 30 m\n"
    assert command.json("status")["delayed"] == 1
    assert command.json("postpone", "ses-9", "--after", "0", code=3) == {"session_id": "ses-9", "result": "unknown"}
    assert command.json("cancel", "ses-1", "--reason", "still \x1b[31m needed") == {
        "session_id": "ses-1",
        "result": "done",
    }
    item = command.json("show", "ses-1")
    assert (item["outcome"], item["reason"]) == ("cancelled", "still [31m needed")
    assert item["by"]
    assert command.json("postpone", "ses-1", "--after", "0", code=3)["result"] == "settled"
    assert command.json("cancel", "ses-1", "--reason", "twice", code=3)["result"] == "settled"
    assert command.run("cancel", "ses-2").returncode == 2
    command.audit()


def test_in_flight_postpone_is_refused_and_cancel_is_noted(command: Command) -> None:
    command.json("add", "ses-1")

    async def work() -> None:
        async with ledger(command) as queue:
            (lease,) = await queue.claim(1, lease_s=60)
            postponed, cancelled = await anyio.to_thread.run_sync(
                lambda: (
                    command.json("postpone", "ses-1", "--after", "1h", code=3),
                    command.json("cancel", "ses-1", "--reason", "stop that"),
                )
            )
            assert postponed["result"] == "in_flight"
            assert cancelled["result"] == "requested"
            assert await ended(queue, lease, Settle(Outcome.STOPPED), Send(time.time(), 0.1, status=204))

    anyio.run(work)
    assert command.outcomes() == {"ses-1": "stopped"}


def test_dead_letters_are_listed_retried_and_purged(command: Command) -> None:
    command.json("add", "ses-1", "ses-2")
    settle(command, Outcome.FORBIDDEN, 403)
    assert "see: reaper dead list" in command.run("status").stdout
    listed = command.json("dead", "list")
    assert [row["session_id"] for row in listed] == ["ses-1", "ses-2"]
    assert set(listed[0]) == {"session_id", "outcome", "status", "attempts", "source", "settled_at", "detail"}
    assert (listed[0]["outcome"], listed[0]["status"], listed[0]["detail"]) == ("forbidden", 403, "code: nope")
    (send,) = command.json("show", "ses-1")["sends"]
    assert INSTANT.fullmatch(send.pop("at"))
    assert send == {"status": 403, "error": None, "duration_s": 0.25, "request_id": "req-7"}
    assert command.run("dead", "retry").returncode == 2
    assert command.json("dead", "retry", "ses-1", "ses-9", code=3) == {"retried": 1, "refused": ["ses-9"], **WHOLE}
    assert command.json("show", "ses-1")["round"] == 2
    assert command.json("dead", "purge", "--all", "--outcome", "rejected") == {"purged": 0, "refused": [], **WHOLE}
    assert command.json("dead", "purge", "--all") == {"purged": 1, "refused": [], **WHOLE}
    assert command.run("dead", "list").stdout == "there are no dead letters\n" * (command.json("status")["dead"] == 0)
    command.audit()


def test_what_is_in_the_queue_is_listed_and_what_was_refused(command: Command) -> None:
    assert command.run("add", "ses-1", "bad/id").returncode == 3
    command.json("add", "ses-2", "--after", "1h")
    listed = command.run("list")
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        ["session", "state"], ["ses-1", "ready"], ["ses-2", "scheduled"],
    ]  # fmt: skip
    assert listed.stderr == "reaper: 2 IDs: 1 ready, 1 scheduled\n"
    row = command.json("list", "--state", "scheduled", "--source", "add", "--due-within", "2h", "--limit", "1")
    assert (row["session_id"], row["state"], row["sends"], row["last_answer"]) == ("ses-2", "scheduled", 0, None)
    assert INSTANT.fullmatch(row["due_at"])
    refused = command.run("list", "--invalid", "-q")
    assert (refused.returncode, refused.stdout.partition(": character")[0]) == (0, "add:2: bad/id")


def test_a_pause_is_shown_until_it_is_resumed(command: Command) -> None:
    assert command.run("pause").returncode == 2
    assert command.json("pause", "--reason", "lunch", "--for", "1h")["paused"] is True
    (pause,) = command.json("status")["pauses"]
    assert (pause["reason"], pause["detail"].startswith("lunch (")) == ("operator", True)
    assert INSTANT.fullmatch(pause["since"])
    assert "PAUSED: operator" in command.run("status").stdout
    assert command.json("resume") == {"paused": False, "was_paused": True}
    assert command.json("status")["pauses"] == []


def test_a_backup_is_restored(command: Command) -> None:
    command.json("add", "ses-1", "ses-2")
    backup = command.home / "copy.db"
    assert command.run("queue", "backup", str(backup)).returncode == 0
    command.json("add", "ses-3")
    restored = command.json("queue", "restore", str(backup))
    assert (restored["accepted"], restored["waiting"]) == (2, 2)
    assert command.json("status", "--queue", f"sqlite://{restored['former']}")["ready"] == 3
    assert command.json("status")["ready"] == 2
    missing = command.run("queue", "restore", str(command.home / "none.db"))
    assert (missing.returncode, "there is no file" in missing.stderr) == (2, True)


def test_queue_init_creates_the_ledger_once(command: Command) -> None:
    assert f"created the ledger {command.ledger}" in command.run("queue", "init").stderr
    assert command.run("queue", "init").stderr == ""


def test_with_a_reaper_at_work_none_is_to_be_started_and_its_pause_is_named(command: Command) -> None:
    command.json("add", "ses-1")
    settle(command, Outcome.FORBIDDEN, 403)
    said = []

    async def beside_a_paused_reaper() -> None:
        opened = await open_queue(f"sqlite://{command.ledger}", create=False, read_only=False, worker=True)
        try:
            await opened.queue.heartbeat(8, [Pause(PauseReason.WRONG_TARGET, opened.queue.now(), "because")])
            said.append((await to_thread.run_sync(partial(command.run, "dead", "retry", "ses-1"))).stdout)
            said.append((await to_thread.run_sync(partial(command.run, "show", "ses-1"))).stdout)
        finally:
            await opened.queue.close()

    anyio.run(beside_a_paused_reaper)
    assert said[0] == "1 due now, in a new round; a reaper at work takes them\n"
    assert "-> the queue is paused (wrong_target): it is sent when that ends; see: reaper status" in said[1]
