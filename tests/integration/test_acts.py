"""Acts on the web page: who may, what is refused, what is changed, and that the record says who."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from reaper.app.console import acts
from reaper.app.console.orders import ORDERS
from reaper.app.console.routes import ACTS
from reaper.core.acts import KEY, Act, read_acts, with_act
from reaper.core.discovery.holds import KEY as HOLDS
from reaper.core.discovery.holds import Guard, read_holds
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Outcome, SessionId, State
from reaper.intake.discovery.held_sweeps import LISTED
from reaper.settings.sections import TelemetrySettings
from reaper.telemetry import logs
from reaper.telemetry.http.request import Request
from reaper.telemetry.page.forms import LABELS
from tests.support.console import TOKEN, Desk, add, console, fill, hold, settle
from tests.support.docs.blocks import blocks
from tests.support.http.ask import ask
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import shared_server

pytestmark = pytest.mark.anyio

BODIES: dict[str, dict[str, Any]] = {
    "retry": {"where": {"state": "dead"}},
    "purge": {"where": {"state": "dead"}},
    "cancel": {"where": {"state": "ready"}, "reason": "wanted"},
    "postpone": {"where": {"state": "ready"}, "after": "30m"},
    "approve": {"hold": "h1"},
    "discard": {"hold": "h1"},
    "pause": {"reason": "a look"},
    "resume": {},
}


def url_of(engine: str) -> str:
    match engine:
        case "postgres":
            server = session_server()
            return server.url(server.create_database())
        case "redis":
            return shared_server().url(f"t{os.urandom(6).hex()}")
        case _:
            return ""


async def facts(desk: Desk) -> object:
    """Return all that an act could change."""
    stats = await desk.queue.stats()
    values = [await desk.queue.read_value(key) for key in (HOLDS, KEY)]
    paused = await desk.queue.paused()
    return stats.ready, stats.scheduled, stats.retrying, stats.in_flight, stats.accepted, stats.dead, values, paused


def test_the_paths_are_those_of_the_orders() -> None:
    assert tuple(ORDERS) == ACTS
    assert BODIES.keys() == LABELS.keys() == set(ACTS)


async def test_without_the_file_there_is_no_way_to_act(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        before = await facts(desk)
        for act, body in BODIES.items():
            assert (await desk.post(f"/acts/{act}", body))[0] == 405
            assert (await desk.get(f"/acts/{act}"))[0] == 404
        assert (await desk.get("/act"))[0] == 404
        for path in ("/", "/ids", "/ids?state=dead", "/holds?hold=h1", "/session?id=env_ready"):
            _, html = await desk.get(path)
            assert "data-act" not in html
            assert '<input type="password"' not in html
        assert await facts(desk) == before


@pytest.mark.parametrize(
    ("status", "token", "headers"),
    [
        (401, None, {}),
        (401, "", {"authorization": f"Basic {TOKEN}"}),
        (401, TOKEN[:-1], {}),
        (401, None, {"cookie": f"token={TOKEN}; Authorization=Bearer {TOKEN}"}),
        (403, TOKEN, {"origin": "https://evil.example"}),
        (403, TOKEN, {"sec_fetch_site": "cross-site"}),
        (421, TOKEN, {"host": "evil.example"}),
        (415, TOKEN, {"content_type": "text/plain"}),
    ],
)
async def test_a_stranger_changes_nothing(
    tmp_path: Path, status: int, token: str | None, headers: dict[str, str]
) -> None:
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, ["env_dead"])
        await settle(desk.queue, Outcome.REJECTED, 422)
        await add(desk.queue, ["env_ready"])
        await hold(desk.queue, "h1", ["env_held"])
        before = await facts(desk)
        for number, (act, body) in enumerate(BODIES.items()):
            found, answer = await desk.post(f"/acts/{act}", body, token, **headers)
            assert found == (429 if token == TOKEN[:-1] and number >= 5 else status)
            assert TOKEN not in str(answer)
        assert await facts(desk) == before


async def test_no_act_by_get_and_no_token_in_an_address(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        await fill(desk.queue)
        before = await facts(desk)
        for act, body in BODIES.items():
            for method in ("GET", "HEAD", "PUT"):
                head = f"{method} /acts/{act}?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n"
                first, _, _ = await ask(desk.where, f"{head}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
                assert first.split()[1] == "405"
            assert (await desk.post(f"/acts/{act}?token={TOKEN}", body, None))[0] == 401
        assert await facts(desk) == before


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


async def test_a_record_that_another_writes_meanwhile_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path, admin=True) as desk:
        read = desk.queue.read_value
        raced: list[str] = []

        async def outrun(name: str) -> str | None:
            text = await read(name)
            if not raced:
                raced.append(name)
                assert await desk.queue.compare_and_set(KEY, with_act(text, Act(1.0, "bob", "resume", 0)), was=text)
            return text

        monkeypatch.setattr(desk.queue, "read_value", outrun)
        assert (await desk.post("/acts/resume", {}))[0] == 200
        assert [each.by for each in read_acts(await read(KEY))] == ["bob", "ann"]


async def test_a_decided_hold_is_not_decided_again(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        await hold(desk.queue, "h1", ["env_held"])
        assert (await desk.post("/acts/discard", {"hold": "h1"}))[0] == 200
        status, answer = await desk.post("/acts/approve", {"hold": "h1"}, TOKEN[::-1])
        assert (status, answer["error"]) == (409, "hold h1 was discarded by ann")
        assert (await desk.queue.stats()).accepted == 0


async def test_an_approval_that_was_cut_off_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is stored before its sessions are queued: a queue that is away between the two loses none."""
    async with console(tmp_path, admin=True) as desk:
        await hold(desk.queue, "h1", ["env_1", "env_2"])
        await add(desk.queue, ["env_1"])

        async def away(*_: object, **__: object) -> None:
            raise QueueUnavailableError("the engine is gone")

        with monkeypatch.context() as patched:
            patched.setattr(desk.queue, "add", away)
            status, answer = await desk.post("/acts/approve", {"hold": "h1"})
            assert (status, "repeat the act" in answer["error"]) == (503, True)
        assert (await desk.post("/acts/discard", {"hold": "h1"}))[0] == 409, "it is approved"
        _, page = await desk.get("/holds?hold=h1")
        assert ("1 of them; to queue them, approve it again" in page, 'data-act="discard"' in page) == (True, False)
        assert 'data-act="approve"' in page
        status, answer = await desk.post("/acts/approve", {"hold": "h1"}, TOKEN[::-1])
        assert (status, answer["changed"], (await desk.queue.stats()).accepted) == (200, 1, 2)
        assert 'data-act="approve"' not in (await desk.get("/holds?hold=h1"))[1]
        assert (await desk.post("/acts/approve", {"hold": "h1"}))[1]["changed"] == 0


async def test_a_discard_that_was_cut_off_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path, admin=True) as desk:
        await hold(desk.queue, "h1", ["env_1"], Guard.LIST_SHRINK)
        await desk.queue.compare_and_set(LISTED, "a list", was=None)
        compare_and_set = desk.queue.compare_and_set

        async def away(key: str, text: str | None, *, was: str | None) -> bool:
            if key == LISTED:
                raise QueueUnavailableError("the engine is gone")
            return await compare_and_set(key, text, was=was)

        with monkeypatch.context() as patched:
            patched.setattr(desk.queue, "compare_and_set", away)
            assert (await desk.post("/acts/discard", {"hold": "h1"}))[0] == 503
        assert (await desk.post("/acts/discard", {"hold": "h1"}))[0] == 200
        assert await desk.queue.read_value(LISTED) is None


async def test_the_page_is_new_after_an_act(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, ["env_1"])
        assert "env_1" in (await desk.get("/ids?state=ready"))[1]
        await desk.post("/acts/cancel", {"ids": ["env_1"], "reason": "no"})
        assert "env_1" not in (await desk.get("/ids?state=ready"))[1]


async def test_one_act_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path, admin=True) as desk:
        begun, go_on = anyio.Event(), anyio.Event()
        pause = desk.queue.pause

        async def slow(given: object) -> None:
            begun.set()
            await go_on.wait()
            await pause(given)  # type: ignore[arg-type]

        monkeypatch.setattr(desk.queue, "pause", slow)
        async with anyio.create_task_group() as group:
            group.start_soon(desk.post, "/acts/pause", BODIES["pause"])
            await begun.wait()
            status, answer = await desk.post("/acts/resume", {})
            assert (status, "another act" in answer["error"]) == (503, True)
            go_on.set()
        assert (await desk.post("/acts/resume", {}))[0] == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_docs_keep_the_token_out_of_the_list_of_processes(tmp_path: Path) -> None:
    """The page's own commands, with a `curl` before the real one that notes its command line."""
    (block,) = (block for block in blocks("docs/console.md") if "/acts/retry -H" in block.text)
    noting = tmp_path / "curl"
    noting.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/noted\nexec {shutil.which("curl")} "$@"\n')
    noting.chmod(0o755)
    environ = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    async with console(tmp_path, admin=True) as desk:
        await add(desk.queue, [f"env_{number}" for number in range(47)])
        await settle(desk.queue, Outcome.FORBIDDEN, 403)
        keep, post = (step.command.replace("127.0.0.1:9464", desk.where) for step in block.steps)
        await anyio.run_process(["bash", "-c", keep], input=f"{TOKEN}\n".encode(), env=environ)
        done = await anyio.run_process(["bash", "-c", post], env=environ)
    assert json.loads(done.stdout) == json.loads(block.steps[1].shown[0])
    assert stat.S_IMODE((tmp_path / ".reaper-act").stat().st_mode) == 0o600
    noted = (tmp_path / "noted").read_text()
    assert "/acts/retry" in noted
    assert TOKEN not in noted


async def test_guesses_end_in_429(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk:
        assert [(await desk.post("/acts/resume", {}, f"{number}" * 20))[0] for number in range(7)] == [401] * 5 + [
            429
        ] * 2
        assert (await desk.post("/acts/resume", {}))[0] == 429
        assert (await desk.get("/"))[0] == 200


async def test_refusals_and_a_broken_file_are_logged_once_a_minute(tmp_path: Path) -> None:
    written, clock, file = io.StringIO(), [0.0], tmp_path / "admins"
    logs.configure(TelemetrySettings(log_format="json"), written, secrets=lambda: ())
    file.write_text(f"ann {TOKEN}\n")
    file.chmod(0o600)
    queue = MemoryQueue()
    acting = acts.Acts(queue, lambda: None, now=lambda: clock[0])

    async def post(times: int, status: int, headers: dict[str, str]) -> None:
        for _ in range(times):
            page = await acting.answer(Request("POST", "/acts/resume", None, headers=headers, body=b"{}"), file)
            assert page.status == status

    await post(1, 401, {})
    await post(3, 401, {"authorization": "Bearer wrong-wrong-wrong-wrong"})
    clock[0] += 61
    await post(1, 401, {"authorization": "Bearer wrong-wrong-wrong-wrong"})
    file.chmod(0o644)
    await post(4, 503, {})
    clock[0] += 61
    await post(1, 503, {})
    logs.flush()
    lines = list(map(json.loads, written.getvalue().splitlines()))
    assert [(line["event"], line.get("count")) for line in lines] == [
        ("operator.refused", 1), ("operator.refused", 4), ("listener.failed", None), ("listener.failed", None)
    ]  # fmt: skip
    assert "wrong-wrong" not in written.getvalue()


async def test_trouble_is_said_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    logs.configure(TelemetrySettings(log_format="json"), written, secrets=lambda: ())
    async with console(tmp_path, admin=True) as desk:

        async def away(*_: object, **__: object) -> None:
            raise QueueUnavailableError("the engine is gone")

        with monkeypatch.context() as patched:
            patched.setattr(desk.queue, "read_value", away)
            status, answer = await desk.post("/acts/pause", BODIES["pause"])
            assert (status, answer["error"]) == (
                503,
                "the engine is gone; repeat the act when the queue is back: it does what is left",
            )
            assert await desk.queue.paused() is None, "nothing is done that is not written down"
        assert (await desk.post("/acts/pause", BODIES["pause"]))[0] == 200
        assert desk.settings.admin_token_file is not None
        desk.settings.admin_token_file.chmod(0o644)
        status, answer = await desk.post("/acts/resume", {})
        assert (status, "admin_token_file" in answer["error"]) == (503, True)
        assert (await desk.queue.paused()) is not None
    lines = list(map(json.loads, written.getvalue().splitlines()))
    first = lines[0]
    assert (first["event"], first["by"], first["detail"]) == ("operator.acted", "ann", "a look")
    assert "chmod 600" in lines[1]["detail"]
    assert TOKEN not in written.getvalue()


async def test_without_page_ids_the_page_of_acts_has_no_id(tmp_path: Path) -> None:
    async with console(tmp_path, page_ids=False, admin=True) as desk:
        await fill(desk.queue)
        await desk.post("/acts/retry", {"ids": ["env_403_0"], "reason": "because of env_403_0"})
        status, html = await desk.get("/act")
        assert status == 200
        assert "env_" not in html
        assert 'data-act="approve"' in html
        assert "2 expired" in html
        assert (await desk.get("/ids"))[0] == 404
        assert 'href="act"' in (await desk.get("/"))[1]
