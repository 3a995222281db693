"""IDs that the queue knows or not, in this process: what `add` and others say of them, and the new time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from reaper.cli import main
from reaper.core.model import Outcome, Settle
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from tests.support.console import hold
from tests.support.queues.harness import LEASE_S, claim_one, ended, ids, sent

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line on a ledger of the test's own; return its output, under `--json` as a value."""

    def run(*words: str, code: int = 0) -> Any:
        assert main.dispatch([*words, "--queue", f"sqlite:///{tmp_path}/ledger.db"]) == code
        printed = capsys.readouterr().out
        return json.loads(printed) if "--json" in words else printed

    return run


@pytest.fixture
def known(tmp_path: Path) -> None:
    """Fill the ledger with `stopped` and `waiting`."""

    async def fill() -> None:
        opened = await open_queue(f"sqlite:///{tmp_path}/ledger.db", create=True, read_only=False, worker=True)
        queue: Queue = opened.queue
        await queue.add(ids("stopped"))
        await ended(queue, await claim_one(queue), Settle(Outcome.STOPPED), sent())
        await queue.add(ids("waiting"), default_after_s=3600)
        await queue.close()

    anyio.run(fill)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("words", "postpone", "again"),
    [
        ((), " --after 0", ""),
        (("--after", "1800"), " --after 30m", " --after 30m"),
        (("--after", "2h"), " --after 2h", " --after 2h"),
        (("--after", "90"), " --after 90", " --after 90"),
        (("--at", "2040-01-31T12:00:00Z"), " --at 2040-01-31T12:00:00.000Z", " --at 2040-01-31T12:00:00.000Z"),
    ],
)
def test_a_known_id_is_named_with_the_command_that_would_change_it(
    run: Run, words: tuple[str, ...], postpone: str, again: str
) -> None:
    changes = {"waiting": f"reaper postpone waiting{postpone}", "stopped": f"reaper add stopped --again{again}"}
    found = run("add", *words, "waiting", "stopped", "--json")
    assert {one["session_id"]: one["change"] for one in found["duplicates"]} == changes
    said = run("add", *words, "waiting", "stopped").splitlines()
    assert [line.partition("; to change that: ")[2] for line in said] == [*changes.values(), ""]
    for change in changes.values():
        run(*change.split()[1:])
    assert run("show", "stopped", "--json")["round"] == 2


@pytest.mark.usefixtures("known")
def test_what_waits_gets_the_new_time_and_nothing_else_changes(run: Run, tmp_path: Path) -> None:
    listed = tmp_path / "ids"
    listed.write_text('waiting\nnew\n{"id": "stopped"}\n{"id": "dated", "due_at": "2040-01-31T12:00:00Z"}\n')
    found = run("add", "--from", str(listed), "--after", "2h", "--or-postpone", "--json")
    assert {name: found[name] for name in ("accepted", "postponed", "duplicate", "invalid")} == {
        "accepted": 2, "postponed": 1, "duplicate": 1, "invalid": 0,
    }  # fmt: skip
    assert [one["session_id"] for one in found["duplicates"]] == ["stopped"]
    listed.write_text('{"id": "dated", "due_at": "2041-01-31T12:00:00Z"}\n')
    assert run("add", "--from", str(listed), "--or-postpone") == "0 accepted, 1 postponed, 0 duplicate, 0 invalid\n"
    assert run("show", "dated", "--json")["due_at"].startswith("2041-01-31")
    assert "postponed by" in run("show", "waiting")
    assert "0 accepted, 1 postponed" in run("add", "waiting", "--or-postpone", "--after", "0", "--again")
    run("audit")


@pytest.mark.usefixtures("known")
def test_without_a_new_time_nothing_is_postponed(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be due at once: a session that is in use would be stopped."""
    listed = tmp_path / "ids"
    listed.write_text('{"id": "dated", "due_at": "2040-01-31T12:00:00Z"}\nwaiting\n')
    before = run("show", "waiting", "--json")["due_at"]
    for words, sentence in (
        (
            ["waiting"],
            "reaper: add: --or-postpone gives the ID that waits a new time: say which with --after or --at\n",
        ),
        (["--from", str(listed)], "the line of waiting has no due time: --or-postpone gives"),
    ):
        assert main.dispatch(["add", *words, "--or-postpone", "--queue", f"sqlite:///{tmp_path}/ledger.db"]) == 2
        assert sentence in capsys.readouterr().err
    assert run("show", "waiting", "--json")["due_at"] == before


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("verb", [["show"], ["dead", "list"], ["outcomes"], ["dead", "retry"]])
def test_unknown_ids_are_one_error_in_json(verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queue = f"sqlite:///{tmp_path}/ledger.db"
    assert main.dispatch([*verb, "nope1", "nope2", "--json", "--queue", queue]) == 3
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (error,) = [event for event in events if event["event"] == "reaper.exited"]
    assert error == events[-1]
    assert (error["exit"], error["unknown"]) == (3, ["nope1", "nope2"])
    assert error["error"].startswith("nope1, nope2 are ")
    assert main.dispatch([*verb, "nope1", "--queue", queue]) == 3
    assert "exited" not in capsys.readouterr().err


def test_a_decision_that_was_made_is_named_with_who_made_it(run: Run, tmp_path: Path) -> None:
    async def held(hold_id: str, sessions: list[str]) -> None:
        opened = await open_queue(f"sqlite:///{tmp_path}/ledger.db", create=True, read_only=False, worker=False)
        await hold(opened.queue, hold_id, sessions)
        await opened.queue.close()

    anyio.run(held, "h1", ["a", "b"])
    assert "to stop them all: reaper approve h1\n" in run("holds", code=4)
    assert run("approve", "h1").startswith("approved: 2 sessions are queued")
    by = run("holds", "h1", "--json")["by"]
    assert run("approve", "h1") == f"hold h1 was approved already by {by}; nothing was changed\n"
    anyio.run(held, "h2", ["c"])
    run("discard", "h2")
    assert run("discard", "h2") == f"hold h2 was discarded already by {by}; nothing was changed\n"


@pytest.mark.usefixtures("known")
def test_queue_init_and_restore_say_that_rounds_are_counted(run: Run, tmp_path: Path) -> None:
    run("add", "stopped", "--again")
    assert run("queue", "init") == "the queue is ready; IDs were accepted 3 times (once for each round) so far\n"
    run("queue", "backup", str(tmp_path / "copy.db"))
    done = run("queue", "restore", str(tmp_path / "copy.db"))
    assert "copy.db: IDs were accepted 3 times (once for each round), 2 IDs are waiting; the former" in done


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["purge"], "dead purge: name IDs, or say --all for all that the other options choose"),
        (["retry", "--outcome", "exhausted"], "dead retry: name IDs, or say --all for all that the other options"),
        (["retry", "a", "--all"], "dead retry: name IDs or say --all, not both"),
    ],
)
def test_dead_says_which_of_ids_and_all_is_wrong(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.dispatch(["dead", *words]) == 2
    assert capsys.readouterr().err.startswith(f"reaper: {sentence}")


def test_blanks_around_an_argument_are_ignored_as_around_a_line(run: Run) -> None:
    assert run("add", " env_a", "env_b\t", "--json")["accepted"] == 2
    assert run("show", " env_a ", "--json")["session_id"] == "env_a"


def test_an_id_in_flight_is_named_without_a_command(run: Run, tmp_path: Path) -> None:
    async def add_while_it_flies() -> Any:
        opened = await open_queue(f"sqlite:///{tmp_path}/ledger.db", create=True, read_only=False, worker=True)
        await opened.queue.add(ids("now"))
        await opened.queue.claim(1, lease_s=LEASE_S)
        found = await anyio.to_thread.run_sync(lambda: run("add", "now", "--after", "1h", "--or-postpone", "--json"))
        await opened.queue.close()
        return found

    (one,) = anyio.run(add_while_it_flies)["duplicates"]
    assert (one["state"], one["change"]) == ("in_flight", None)
