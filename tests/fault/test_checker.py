"""The checker itself: silent where all is well, and not where one thing is wrong, made up or planted in the code."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from reaper.sandbox.recorder import Delete
from reaper.sandbox.sessions import Session
from tests.support.fault.checker import Bounds, Evidence, Gauge, check
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.planting import CHECKED, plant
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import running_sandbox, script


def delete(name: str, at: float, status: int | None) -> Delete:
    return Delete(at, name, f"/api/sessions/{name}", status, None, status == 204, "token", delivered=True)


def row(name: str, outcome: str, status: int | None, attempts: int = 1) -> dict[str, object]:
    at = "1970-01-01T00:01:00.000Z"
    return {"session_id": name, "outcome": outcome, "status": status, "attempts": attempts, "settled_at": at}


SOUND = Evidence(
    accepted=["a", "b", "c", "d"],
    deletes=[delete("a", 50.0, 204), delete("b", 51.0, 404), *(delete("c", 52.0 + n, 502) for n in range(3))],
    rows=[row("a", "stopped", 204), row("b", "already_gone", 404), row("c", "exhausted", 502, 3)],
    status={"ready": 0, "delayed": 1, "in_flight": 0},
    audit={"balanced": True, "lines": [], "settled": {"stopped": 1, "already_gone": 1, "exhausted": 1}},
    settled=False,
    events=[{"event": "session.settled", "session_id": "a"}],
    texts={"log": b"nothing"},
    secrets=[b"token"],
    peak_in_flight=2,
    gauges=(Gauge(10, 50 << 20, 3), Gauge(12, 52 << 20, 3)),
    took={"drain": (1.0, 2.0)},
)
BOUNDS = Bounds(in_flight=2, repeats=0, sends_per_id=2, max_attempts=3)
WRONG: dict[str, list[dict[str, Any]]] = {
    "lost": [
        {"accepted": ["a", "b", "c", "d", "e"]},
        {"settled": True},
        {"accepted": ["a", "b", "c"]},
        {"rows": [*SOUND.rows, row("z", "stopped", 204)]},
        {"deletes": [*SOUND.deletes, delete("z", 50.0, 502)]},
        {"status": {"ready": 1, "delayed": 1, "in_flight": 0}},
    ],
    "doubled": [
        {"rows": [*SOUND.rows, row("a", "stopped", 204)]},
        {"events": [*SOUND.events, *SOUND.events]},
        {"audit": {**SOUND.audit, "balanced": False}},
        {"audit": {**SOUND.audit, "settled": {"stopped": 2, "already_gone": 1, "exhausted": 1}}},
    ],
    "dishonest": [
        {"deletes": SOUND.deletes[1:]},
        {"deletes": [delete("a", 61.0, 204), *SOUND.deletes[1:]]},
        {"deletes": [replace(SOUND.deletes[0], delivered=False), *SOUND.deletes[1:]]},
        {"deletes": SOUND.deletes[:-1]},
        {"rows": [row("a", "stopped", 502), *SOUND.rows[1:]]},
        {"rows": [*SOUND.rows[:2], row("c", "exhausted", 502, 2)]},
        {"rows": [*SOUND.rows[:2], row("c", "forbidden", 403)]},
    ],
    "unbounded": [
        {"peak_in_flight": 3},
        {"deletes": [*SOUND.deletes, delete("b", 55.0, 404)]},
        {"deletes": [*SOUND.deletes, delete("c", 55.0, 502), delete("c", 56.0, 502)]},
    ],
    "leaking": [
        {"gauges": (Gauge(10, 50 << 20, 3), Gauge(15, 52 << 20, 3))},
        {"gauges": (Gauge(10, 50 << 20, 3), Gauge(12, 70 << 20, 3))},
        {"gauges": (Gauge(10, 50 << 20, 3), Gauge(12, 52 << 20, 9))},
    ],
    "telling": [{"texts": {"log": b"the token is here"}}],
    "late": [{"took": {"drain": (2.1, 2.0)}}],
}


def test_it_is_silent_where_all_is_well() -> None:
    assert check(SOUND, BOUNDS) == []


@pytest.mark.parametrize(("rule", "change"), [(rule, change) for rule, some in WRONG.items() for change in some])
def test_each_rule_sees_its_fault(rule: str, change: dict[str, Any]) -> None:
    found = check(replace(SOUND, **change), BOUNDS)
    assert any(fault.startswith(f"{rule}: ") for fault in found), found


@pytest.fixture
def planted(command: Command, request: pytest.FixtureRequest) -> Iterator[Warm]:
    warm = Warm(plant(command.home / "planted", CHECKED[request.param][0]))
    yield warm
    warm.close()


def backlog(command: Command, warm: Warm, chance: random.Random) -> None:
    """Settle a small backlog with faults, and prove it."""
    ids = [f"ses-{number}" for number in range(30)]
    with running_sandbox(map(Session, ids), latency="2ms") as sandbox:
        script(sandbox, chance.sample(ids, 10), "502")
        script(sandbox, ids[:1], "500", "forever")
        aim(command, sandbox, worker__concurrency=4, retry__base_s=0.01, retry__max_attempts=4)
        done = warm.run(command, "once", "-q", str(write_ids(command.home / "ids.txt", ids)))
        assert done.returncode in (0, 3), done.stderr
        bounds = Bounds(in_flight=4, sends_per_id=2, max_attempts=4)
        run = partial(warm.run, command)
        settle_up(command, sandbox.deletes, ids, bounds, run=run, peak_in_flight=peak(sandbox))


def test_a_sound_run_is_proved(command: Command, warm: Warm, chance: random.Random) -> None:
    backlog(command, warm, chance)


@pytest.mark.parametrize("planted", CHECKED, indirect=True)
def test_a_planted_mistake_is_seen(
    command: Command, planted: Warm, chance: random.Random, request: pytest.FixtureRequest
) -> None:
    rule = CHECKED[request.node.callspec.params["planted"]][1]
    with pytest.raises(AssertionError, match=rf"(?m)^{rule}: "):
        backlog(command, planted, chance)
