"""`cancel`, `postpone`, `dead` and `outcomes` over many IDs, in this process: what they print, change and exit with."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from reaper.cli.commands import bulk
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Outcome, Send, SessionId, Settle
from reaper.queues.open import open_queue
from reaper.queues.sqlite.operators import SqliteOperators
from tests.support.desk import Desk
from tests.support.queues.harness import ended
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import shared_server

MANY = 25


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def any_desk(request: pytest.FixtureRequest, environ: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    match request.param:
        case "postgres":
            server = session_server()
            return Desk(server.url(server.create_database()), capsys)
        case "redis":
            return Desk(shared_server().url(f"t{os.urandom(6).hex()}"), capsys)
        case _:
            return Desk(f"sqlite://{environ}/ledger.db", capsys)


def test_many_are_counted_asked_about_and_then_changed(any_desk: Desk) -> None:
    """On every engine: a dry run, the refusal without --yes, the order, and what it leaves alone."""
    desk = any_desk
    desk.add()
    desk.add(3, "/srv/right.ids", "job_")
    dry = desk.json("cancel --source wrong --reason why --dry-run")
    assert (dry["chosen"], dry["done"], dry["dry_run"]) == (MANY, MANY, True)
    code, out, err = desk.run("cancel --source wrong --reason why")
    assert (code, out) == (2, "")
    assert "cancel 25 IDs (25 ready)? There is no terminal to ask on" in err
    assert desk.open_ids() == MANY + 3
    assert desk.run("postpone --source wrong --after 2h --reason waits --yes")[:2] == (0, "25 due in 2 h\n")
    item = desk.item("env_024")
    assert item is not None
    assert (item.state.value, item.reason) == ("scheduled", "postponed: waits")
    assert desk.run("cancel --source wrong --state ready --reason why --yes")[:2] == (0, "no ID was chosen\n")
    assert desk.run("cancel --source wrong --state scheduled --reason why --yes")[:2] == (0, "25 cancelled\n")
    item = desk.item("env_000")
    assert item is not None
    assert (item.outcome, item.reason, bool(item.by)) == (Outcome.CANCELLED, "why", True)
    assert desk.open_ids() == 3
    assert desk.run("postpone --source right --after 0")[:2] == (0, "3 due now\n"), "a few need no question"


def test_what_is_in_flight_is_refused_by_postpone_and_noted_by_cancel(desk: Desk) -> None:
    desk.add(3)
    with start_blocking_portal() as portal:
        holder = portal.call(partial(open_queue, desk.url, create=False, read_only=False, worker=True)).queue
        (lease,) = portal.call(partial(holder.claim, 1, lease_s=60))
        done = desk.json("postpone --source wrong --after 1h", code=3)
        assert (done["done"], done["in_flight"]) == (2, 1)
        assert done["refused"] == [{"session_id": lease.session_id, "result": "in_flight"}]
        code, out, _ = desk.run("postpone env_000 env_001 --after 1h --dry-run")
        assert code == 3
        assert out.splitlines() == [
            "dry run: env_000: refused: its DELETE is in flight",
            "dry run: env_001: would be due in 1 h",
        ]
        dry = desk.json("cancel --source wrong --reason x --dry-run")
        assert (dry["done"], dry["requested"]) == (2, 1)
        code, out, _ = desk.run("cancel --state in_flight --state scheduled --reason x")
        assert (code, out.splitlines()) == (
            0, ["2 cancelled", "1 in flight: cancelled unless the reply to the DELETE is final"],
        )  # fmt: skip
        assert portal.call(ended, holder, lease, Settle(Outcome.STOPPED), Send(time.time(), 0.1, status=204))
        portal.call(holder.close)
    assert desk.open_ids() == 0


def test_ids_come_from_files_with_what_is_wrong_in_them(desk: Desk, environ: Path) -> None:
    desk.add(2)
    desk.settle((Outcome.STOPPED, 204, None))
    (environ / "ids").write_text("env_000\nenv_001\n\n# note\nbad/id\nnobody\nenv_001\n")
    dry = desk.json("cancel --from ids --reason x --dry-run", code=3)
    assert (dry["chosen"], dry["done"], dry["settled"], dry["unknown"], dry["invalid"]) == (3, 1, 1, 1, 1)
    code, out, err = desk.run("cancel --from ids --reason x")
    assert (code, out.splitlines()) == (
        3, ["1 cancelled", "1 refused: settled already", "1 refused: unknown here"],
    )  # fmt: skip
    assert "env_000: settled already; see: reaper show env_000" in err
    assert "ids:5: bad/id: character 4 is '/'" in err
    assert desk.run("cancel --from nowhere --reason x")[0] == 2


@pytest.mark.parametrize(
    "words",
    ["cancel --reason x", "cancel env_1 --source a --reason x", "postpone --from a --state ready --after 1h",
     "postpone env_1", "postpone env_1 --after 1h --at 2030-01-01T00:00:00Z", "postpone --state in_flight --after 1h",
     "cancel --state dead --reason x", "outcomes --csv --json", "outcomes --limit 0", "dead purge --limit 3 --all"],
)  # fmt: skip
def test_orders_that_contradict_themselves_are_usage_errors(desk: Desk, words: str) -> None:
    desk.add(1)
    assert desk.run(words)[0] == 2
    assert desk.open_ids() == 1


def test_an_instant_is_named_for_a_due_time(desk: Desk) -> None:
    desk.add(1)
    assert desk.run("postpone env_000 --at 2040-01-31T12:00:00Z")[1] == "env_000: due at 2040-01-31 12:00:00Z\n"
    item = desk.item("env_000")
    assert item is not None
    assert item.due_at == 2_211_624_000.0


@pytest.fixture
def batches_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BATCH_SIZE", 5)


def after_batch(monkeypatch: pytest.MonkeyPatch, number: int, call: Callable[[], object]) -> None:
    """Call something once so many batches have been cancelled."""
    real, count = SqliteOperators.cancel, 0

    async def cancel(self: SqliteOperators, ids: Sequence[SessionId], **words: str) -> Any:
        nonlocal count
        results = await real(self, ids, **words)
        count += 1
        if count == number:
            call()
            await anyio.sleep(0.01)  # a signal is delivered by the loop
        return results

    monkeypatch.setattr(SqliteOperators, "cancel", cancel)


@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)])
@pytest.mark.usefixtures("batches_of_five")
def test_a_signal_ends_an_order_between_two_steps_and_it_is_said_how_far_it_came(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, signals: Sequence[signal.Signals]
) -> None:
    def send() -> None:
        for number in signals:
            os.kill(os.getpid(), number)

    desk.add()
    after_batch(monkeypatch, 2, send)
    code, out, err = desk.run("cancel --source wrong --reason x --yes")
    assert code == 75
    # After the second signal the step under way may be cancelled before it is counted: it has happened all the same.
    counted = 10 if len(signals) == 1 else int(out.split()[0])
    assert out == f"{counted} cancelled\n"
    assert f"interrupted: {MANY - counted} IDs are left" in err
    assert desk.open_ids() == MANY - 10
    done = desk.json("cancel --source wrong --reason x --yes")
    assert (done["done"], done["interrupted"]) == (15, False)


@pytest.mark.usefixtures("batches_of_five")
def test_an_engine_that_fails_in_the_middle_ends_the_order_with_how_far_it_came(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise QueueUnavailableError("the engine cannot be reached")

    desk.add()
    after_batch(monkeypatch, 2, fail)
    code, out, err = desk.run("cancel --source wrong --reason x --yes")
    assert (code, out) == (69, "")
    assert "5 of 25 IDs were worked on before this; it is safe to run it again" in err
    assert "the engine cannot be reached" in err
