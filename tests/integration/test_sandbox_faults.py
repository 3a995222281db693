"""Every fault, mode and latency of the stand-in is what it says."""

import asyncio
import time

import httpx
import pytest

from reaper.sandbox import control
from reaper.sandbox.faults import Behaviour, Mode, answering, parse_rates, parse_script
from reaper.sandbox.http_server import Request
from reaper.sandbox.latency import Latency, parse_latency
from reaper.sandbox.server import Sandbox
from reaper.sandbox.sessions import Session
from tests.support.sandbox import stopped

pytestmark = pytest.mark.anyio

ONE = "/api/sessions/env_1"


def client(sandbox: Sandbox, timeout_s: float = 5.0) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {sandbox.token}"}
    return httpx.AsyncClient(
        base_url=sandbox.url, headers=headers, timeout=httpx.Timeout(5, read=timeout_s), trust_env=False
    )


async def test_a_script_is_consumed_one_behaviour_per_delete() -> None:
    async with Sandbox([Session("env_1")], fail="403:1") as sandbox, client(sandbox) as api:
        sandbox.script("env_1", "502", "502", "429:7", "503:Wed, 21 Oct 2026 07:28:00 GMT", "418", "ok")
        answers = [await api.delete(ONE) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [502, 502, 429, 503, 418, 204, 403]
        assert answers[0].content == b""
        assert answers[1].headers["content-type"].startswith("text/html")
        assert [answer.headers.get("retry-after") for answer in answers[2:4]] == ["7", "Wed, 21 Oct 2026 07:28:00 GMT"]
        assert isinstance(answers[4].json()["error"], str)
        assert [delete.fault for delete in sandbox.deletes] == ["502", "502", "429", "503", "418", None, "403"]


async def test_the_last_of_a_script_can_hold_forever() -> None:
    async with Sandbox([Session("env_1")]) as sandbox, client(sandbox) as api:
        sandbox.script("env_1", "500", answering(502), "forever")
        assert [(await api.delete(ONE)).status_code for _ in range(5)] == [500, 502, 502, 502, 502]
        assert sandbox.sessions.active == ["env_1"]


async def test_reset_spares_the_session_and_lost_stops_it() -> None:
    async with Sandbox([Session("env_1")]) as sandbox, client(sandbox) as api:
        sandbox.script("env_1", "reset", "lost")
        for executed in (False, True):
            with pytest.raises(httpx.ReadError):
                await api.delete(ONE)
            assert sandbox.deletes[-1].executed is executed
            assert sandbox.deletes[-1].status is None
        assert (await api.delete(ONE)).status_code == 404
        assert stopped(sandbox) == ["env_1"]
        await sandbox.until(lambda s: s.counters.in_flight == 0)


async def test_hang_answers_nothing_and_stays_open_until_the_client_leaves() -> None:
    async with Sandbox([Session("env_1")]) as sandbox:
        sandbox.script("env_1", "hang")
        async with client(sandbox, timeout_s=0.1) as api:
            with pytest.raises(httpx.ReadTimeout):
                await api.delete(ONE)
        assert (sandbox.deletes[0].fault, sandbox.sessions.active) == ("hang", ["env_1"])
        await sandbox.until(lambda s: s.counters.in_flight == 0 and s.open_connections == 0)


async def test_drip_answers_byte_by_byte_and_slow_later() -> None:
    async with Sandbox([Session("env_1"), Session("env_2")]) as sandbox, client(sandbox, timeout_s=0.5) as api:
        sandbox.script("env_1", "drip:0.008")
        sandbox.script("env_2", "slow:0.15")
        began = time.monotonic()
        assert (await api.delete(ONE)).status_code == 204
        dripped = time.monotonic() - began
        # Longer than the client's timeout per read, which no single byte's wait has reached.
        assert dripped > 0.5
        assert (await api.delete("/api/sessions/env_2")).status_code == 204
        assert time.monotonic() - began - dripped >= 0.15
        assert stopped(sandbox) == ["env_1", "env_2"]


async def test_garbage_is_not_http() -> None:
    async with Sandbox([Session("env_1")]) as sandbox, client(sandbox) as api:
        sandbox.script("env_1", "garbage")
        with pytest.raises(httpx.RemoteProtocolError):
            await api.delete(ONE)
        assert stopped(sandbox) == []


async def test_rates_are_kept_and_repeatable_whatever_the_order() -> None:
    ids = [f"env_{n}" for n in range(600)]

    async def fates(order: list[str], seed: int) -> dict[str | None, str | None]:
        async with Sandbox(map(Session, ids), seed=seed, fail="502:0.2,429:2:0.1") as sandbox, client(sandbox) as api:
            for session_id in order:
                await api.delete(f"/api/sessions/{session_id}")
            return {delete.session_id: delete.fault for delete in sandbox.deletes}

    first = await fates(ids, 1)
    assert first == await fates(ids[::-1], 1)
    assert first != await fates(ids, 2)
    counted = list(first.values())
    assert 0.14 < counted.count("502") / 600 < 0.26
    assert 0.06 < counted.count("429") / 600 < 0.14


async def test_peak_in_flight_counts_deletes_that_overlap() -> None:
    ids = [f"env_{n}" for n in range(12)]
    async with Sandbox(map(Session, ids)) as sandbox, client(sandbox) as api:
        sandbox.set_mode(Mode.PAUSE)
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(api.delete(f"/api/sessions/{session_id}")) for session_id in ids]
            await sandbox.until(lambda s: s.counters.in_flight == 12)
            assert sandbox.deletes == []
            sandbox.set_mode(Mode.OK)
        assert {task.result().status_code for task in sent} == {204}
        assert (await api.delete(ONE)).status_code == 404
        assert (sandbox.counters.peak_in_flight, sandbox.counters.in_flight) == (12, 0)


async def test_a_client_that_hangs_up_does_not_undo_its_request() -> None:
    async with Sandbox([Session("env_1")], latency="300ms") as sandbox:
        async with client(sandbox, timeout_s=0.05) as api:
            with pytest.raises(httpx.ReadTimeout):
                await api.delete(ONE)
        assert sandbox.deletes == []
        await sandbox.until(lambda s: stopped(s) == ["env_1"])
        assert sandbox.deletes[0].delivered is False


@pytest.mark.parametrize(
    ("mode", "status", "kind"),
    [
        ("outage", 502, ""),
        ("html404", 404, "text/html"),
        ("html405", 405, "text/html"),
        ("json404", 404, "application/json"),
        ("html200", 200, "text/html"),
        ("redirect", 302, "text/html"),
    ],
)
async def test_modes_answer_everything_or_deletes_alone_and_stop_nothing(mode: str, status: int, kind: str) -> None:
    async with Sandbox([Session("env_1")]) as sandbox, client(sandbox) as api:
        sandbox.set_mode(mode)
        first = await api.delete(ONE)
        assert (first.status_code, (await api.get("/api/sessions")).status_code) == (status, status)
        assert first.headers.get("content-type", "").startswith(kind)
        if mode == "json404":
            assert first.json() == {"status": 404}
        if mode == "redirect":
            assert first.headers["location"] == "/login"
        sandbox.set_mode(mode, deletes_only=True)
        assert ((await api.delete(ONE)).status_code, (await api.get("/api/sessions")).status_code) == (status, 200)
        assert [(d.fault, d.executed) for d in sandbox.deletes] == [(mode, False)] * 2
        sandbox.set_mode("ok")
        assert (await api.delete(ONE)).status_code == 204


async def test_the_server_can_reset_hang_or_be_down_and_come_back_on_its_port() -> None:
    async with Sandbox([Session("env_1")]) as sandbox, client(sandbox, timeout_s=0.5) as api:
        url = sandbox.url
        sandbox.set_mode("reset")
        with pytest.raises(httpx.ReadError):
            await api.get("/api/sessions")
        sandbox.set_mode("hang")
        with pytest.raises(httpx.ReadTimeout):
            await api.get("/api/sessions")
        sandbox.set_mode("ok")
        await sandbox.down()
        with pytest.raises(httpx.ConnectError):
            await api.get("/api/sessions")
        await sandbox.up()
        assert sandbox.url == url
        assert (await api.delete(ONE)).status_code == 204


async def test_the_control_surface_changes_token_mode_latency_faults_and_scripts() -> None:
    async with Sandbox([Session("env_1")]) as sandbox, client(sandbox) as api:
        wish = {"token": "rotated-secret", "mode": "redirect", "deletes_only": True, "latency": "1ms"}
        reply = await api.post("/_sandbox", json=wish)
        assert (reply.status_code, sandbox.token, sandbox.latency) == (200, "rotated-secret", Latency(0.001, 0.001))
        assert (reply.json()["mode"], reply.json()["active"]) == ("redirect", 1)
        assert (await api.get("/api/sessions")).status_code == 401
        api.headers["authorization"] = "Bearer rotated-secret"
        script = {"env_1": ["502", "forever"]}
        assert (await api.post("/_sandbox", json={"mode": "ok", "fail": "403:1", "script": script})).status_code == 200
        assert (await api.delete(ONE)).status_code == 502
        assert (await api.delete("/api/sessions/env_2")).status_code == 403
        state = await api.get("/_sandbox")
        assert (state.json()["deletes"], state.json()["unauthorized"], state.json()["lists"]) == (2, 1, 1)
        assert "secret" not in state.text


def test_the_control_surface_is_for_this_machine_alone() -> None:
    request = Request("POST", "/_sandbox", {}, b'{"token": "theirs"}', close=False)
    sandbox = Sandbox()
    assert control.answer(sandbox, request, local=False).status == 403
    assert sandbox.token == "archal_ws_sandbox"
    assert control.answer(sandbox, request, local=True).status == 200


BAD_WISHES: list[object] = [
    *({}, [], {"tokn": "x"}, {"token": ""}, {"token": 5}, {"mode": "asleep"}, {"mode": ["ok"]}, {"deletes_only": True}),
    *({"latency": "soon"}, {"fail": "1"}, {"script": {"env_1": ["?"]}}, {"script": {"env_1": "502"}}),
]


@pytest.mark.parametrize("wish", BAD_WISHES)
async def test_the_control_surface_refuses_what_it_does_not_know_as_a_whole(wish: object) -> None:
    async with Sandbox() as sandbox, client(sandbox) as api:
        whole = {"token": "new", **wish} if isinstance(wish, dict) and wish else wish
        answer = await api.post("/_sandbox", json=whole)
        assert (answer.status_code, isinstance(answer.json()["message"], str)) == (400, True)
        assert (sandbox.token, sandbox.mode) == ("archal_ws_sandbox", Mode.OK)


def test_latency_is_read_and_spread_as_written() -> None:
    assert parse_latency("0") == parse_latency("") == Latency(0, 0)
    assert parse_latency("100ms") == Latency(0.1, 0.1)
    assert parse_latency("50-200ms") == parse_latency(".05s - 200ms") == Latency(0.05, 0.2)
    assert parse_latency("50-200ms").at(0.5) == pytest.approx(0.125)
    tailed = parse_latency("p50=80ms, p99=600ms")
    assert [tailed.at(share) for share in (0.5, 0.99)] == pytest.approx([0.08, 0.6])
    assert 0 < tailed.at(0.0) < tailed.at(1.0) < 60


@pytest.mark.parametrize("text", ["100", "fast", "200-50ms", "-5ms", "p50=80ms", "p50=9s,p99=1s", "p50=0ms,p99=1s"])
def test_a_latency_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"latency '{text}'"):
        parse_latency(text)


@pytest.mark.parametrize("text", ["502", "502:2", "502:x", "nope:0.1", "199:0.1", "600:0.1", "slow:0.1", "drip:x:0.1"])
def test_a_fault_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        parse_rates(text)


def test_shares_above_one_and_empty_scripts_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        parse_rates("502:0.6,503:0.6")
    for parts in ([], ["forever"]):
        with pytest.raises(ValueError, match="at least one"):
            parse_script(parts)
    assert parse_script([Behaviour("mine")]).take() == Behaviour("mine")
