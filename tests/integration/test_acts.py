"""Acts on the web page: who may, what is refused, what is changed, and that the record says who."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from reaper.app.console import acts
from reaper.app.console.orders import ORDERS
from reaper.app.console.routes import ACTS
from reaper.core.acts import KEY, read_acts
from reaper.core.discovery.holds import KEY as HOLDS
from reaper.core.discovery.holds import read_holds
from reaper.core.model import Outcome, SessionId, State
from reaper.telemetry.page.forms import LABELS
from tests.support.acts import BODIES, facts
from tests.support.console import TOKEN, add, console, fill, hold, settle
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import shared_server

pytestmark = pytest.mark.anyio


def url_of(engine: str) -> str:
    match engine:
        case "postgres":
            server = session_server()
            return server.url(server.create_database())
        case "redis":
            return shared_server().url(f"t{os.urandom(6).hex()}")
        case _:
            return ""


def test_the_paths_are_those_of_the_orders() -> None:
    assert tuple(ORDERS) == ACTS
    assert BODIES.keys() == LABELS.keys() == set(ACTS)


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "redis"])
async def test_each_act_does_what_its_verb_does_and_the_record_says_who(tmp_path: Path, engine: str) -> None:
    async with console(tmp_path, admin=True, url=url_of(engine)) as desk:
        await fill(desk.queue)
        queue = desk.queue

        async def does(act: str, **body: Any) -> dict[str, Any]:
            status, answer = await desk.post(f"/acts/{act}", body)
            assert status == 200, answer
            assert (answer["act"], answer["by"]) == (act, "ann")
            found: dict[str, Any] = answer
            return found

        assert (await does("retry", where={"status": "403"}, reason="new token"))["changed"] == 3
        item = await queue.show(SessionId("env_403_1"))
        assert item is not None
        assert (item.state, item.round, item.by, item.reason) == (State.READY, 2, "ann", "new token")
        assert (await does("purge", ids=["env_422"]))["changed"] == 1
        assert await queue.show(SessionId("env_422")) is None
        assert (await does("cancel", ids=["env_403_1", "env_flying"], reason="no"))["changed"] == 2
        item = await queue.show(SessionId("env_403_1"))
        assert item is not None
        assert (item.outcome, item.by, item.reason) == (Outcome.CANCELLED, "ann", "no")
        assert (await does("postpone", where={"source": "now"}, after="30m"))["changed"] == 1
        item = await queue.show(SessionId("env_ready"))
        assert item is not None
        assert (item.state, item.by) == (State.SCHEDULED, "ann")
        assert (await does("approve", hold="h1", reason="they are old"))["changed"] == 2
        [held] = read_holds(await queue.read_value(HOLDS))
        assert (held.fate, held.by, held.why) == ("approved", "ann", "they are old")
        item = await queue.show(SessionId("env_held_2"))
        assert item is not None
        assert (item.state, item.source) == (State.READY, "discovery:expired")
        await hold(queue, "h2", ["env_new"])
        await does("discard", hold="h2")
        assert (await does("pause", reason="a look", **{"for": "30m"}))["until"]
        paused = await queue.paused()
        assert paused is not None
        assert (paused.by, paused.detail) == ("ann", "a look (ann)")
        assert (await does("resume"))["was_paused"]
        assert await queue.paused() is None
        record = read_acts(await queue.read_value(KEY))
        assert [(each.act, each.by, each.count) for each in record] == [
            ("retry", "ann", 3), ("purge", "ann", 1), ("cancel", "ann", 2), ("postpone", "ann", 1),
            ("approve", "ann", 2), ("discard", "ann", 1), ("pause", "ann", 0), ("resume", "ann", 0),
        ]  # fmt: skip
        assert (record[0].what, record[0].reason) == ("status 403", "new token")
        _, html = await desk.get("/act")
        assert "new token" in html
        assert (await desk.queue.audit()).balanced


async def test_an_act_over_twenty_carries_the_number_that_it_touches(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, [f"env_{number}" for number in range(21)])
        await settle(desk.queue, Outcome.FORBIDDEN, 403)
        retry = {"where": {"state": "dead"}}
        assert await desk.post("/acts/retry", {**retry, "dry_run": True}) == (
            200, {"act": "retry", "chosen": 21, "changed": 0, "dry_run": True},
        )  # fmt: skip
        for count in (None, 20, 22):
            status, answer = await desk.post("/acts/retry", {**retry, "count": count})
            assert (status, answer.get("count")) == (409, 21)
        assert (await desk.queue.stats()).dead == 21
        assert read_acts(await desk.queue.read_value(KEY)) == ()
        ids = {"ids": [f"env_{number}" for number in range(21)]}
        await desk.queue.purge([SessionId("env_20")])
        assert (await desk.post("/acts/retry", {**ids, "count": 21}))[0] == 409, "one of them is gone meanwhile"
        status, answer = await desk.post("/acts/retry", retry)
        assert (status, answer["changed"]) == (200, 20), "twenty need no number"
        await hold(desk.queue, "h1", [f"held_{number}" for number in range(30)])
        for act in ("approve", "discard"):
            status, answer = await desk.post(f"/acts/{act}", {"hold": "h1", "count": 29})
            assert (status, answer.get("count")) == (409, 30)
        assert (await desk.post("/acts/approve", {"hold": "h1", "count": 30}))[1]["changed"] == 30


@pytest.mark.parametrize(
    ("act", "body", "status", "words"),
    [
        ("retry", b"", 400, "one JSON object"),
        ("retry", b"[" * 60_000, 400, "one JSON object"),
        ("retry", [], 400, "one JSON object"),
        ("retry", {}, 400, "ids or where"),
        ("retry", {"ids": ["a"], "where": {}}, 400, "ids or where"),
        ("retry", {"ids": []}, 400, "at least one"),
        ("retry", {"ids": ["a/b"]}, 400, "character 2"),
        ("retry", {"ids": "env_ready"}, 400, "list of texts"),
        ("retry", {"where": {"state": "ready"}}, 400, "dead letters alone"),
        ("retry", {"where": {"odd": "1"}}, 400, "where has no"),
        ("retry", {"where": {"state": 1}}, 400, "object with texts"),
        ("retry", {"where": {}, "hold": "h1"}, 400, "has no 'hold'"),
        ("retry", {"where": {}, "count": "4"}, 400, "whole number"),
        ("retry", {"where": {}, "count": True}, 400, "whole number"),
        ("retry", {"where": {}, "dry_run": 1}, 400, "true or false"),
        ("retry", {"where": {}, "reason": f"I am {TOKEN}"}, 400, "the header alone"),
        ("cancel", {"where": {"state": "dead"}, "reason": "x"}, 400, "open IDs alone"),
        ("cancel", {"ids": ["env_ready"]}, 400, "needs a reason"),
        ("cancel", {"ids": ["env_ready"], "reason": " \n"}, 400, "must say why"),
        ("postpone", {"ids": ["env_ready"]}, 400, "needs after"),
        ("postpone", {"ids": ["env_ready"], "after": "soon"}, 400, "not a duration"),
        ("postpone", {"ids": ["env_ready"], "at": "noon"}, 400, "not a time"),
        ("approve", {"hold": "none"}, 409, "no such hold"),
        ("approve", {}, 409, "no such hold"),
        ("pause", {}, 400, "needs a reason"),
        ("pause", {"reason": "x", "for": "0"}, 400, "longer than 0"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    tmp_path: Path, act: str, body: object, status: int, words: str
) -> None:
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, ["env_ready"])
        await hold(desk.queue, "h1", ["env_held"])
        before = await facts(desk)
        found, answer = await desk.post(f"/acts/{act}", body)
        assert (found, words in answer["error"]) == (status, True), answer
        assert TOKEN not in str(answer)
        if act != "pause":  # which is written down before it is judged
            assert await facts(desk) == before


async def test_an_id_that_does_not_fit_any_more_is_left_alone(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        await fill(desk.queue)
        ids = ["env_ok", "env_422", "env_ready", "env_unknown"]
        assert (await desk.post("/acts/retry", {"ids": ids}))[1] == {
            "act": "retry", "by": "ann", "chosen": 1, "changed": 1,
        }  # fmt: skip
        assert (await desk.post("/acts/purge", {"ids": ["env_ok"]}))[1]["changed"] == 0
        assert (await desk.post("/acts/postpone", {"ids": ["env_flying"], "after": "1h"}))[1]["changed"] == 0


async def test_an_order_over_more_than_an_act_takes_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "MAX_CHOSEN", 3)
    monkeypatch.setattr(acts, "BATCH_SIZE", 2)
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, [f"env_{number}" for number in range(4)])
        await settle(desk.queue, Outcome.REJECTED, 422)
        status, answer = await desk.post("/acts/purge", {"where": {}})
        assert (status, "at most 3 IDs; for more: reaper dead purge" in answer["error"]) == (400, True)
        await desk.queue.purge([SessionId("env_0")])
        assert (await desk.post("/acts/purge", {"where": {}}))[1]["changed"] == 3, "in steps of two"


async def test_the_page_is_new_after_an_act(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, ["env_1"])
        assert "env_1" in (await desk.get("/ids?state=ready"))[1]
        await desk.post("/acts/cancel", {"ids": ["env_1"], "reason": "no"})
        assert "env_1" not in (await desk.get("/ids?state=ready"))[1]
