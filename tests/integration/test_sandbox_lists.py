"""The stand-in for discovery: lists that are wrong on purpose, ghosts, renewals, accounts, clocks."""

import json
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from reaper.sandbox import control
from reaper.sandbox.http_server import Request
from reaper.sandbox.listing import ListFault
from reaper.sandbox.server import Sandbox
from reaper.sandbox.sessions import Session
from tests.support.sandbox import running_sandbox, stopped, switch_account
from tests.support.session_mix import session_mix

pytestmark = pytest.mark.anyio

LIST = "/api/sessions"


def client(sandbox: Sandbox) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {sandbox.token}"}
    return httpx.AsyncClient(base_url=sandbox.url, headers=headers, timeout=5, trust_env=False)


def four() -> list[Session]:
    return [Session(f"env_{n}") for n in range(4)]


async def test_every_fault_of_the_list_is_what_it_says_and_ends() -> None:
    async with Sandbox(four()) as sandbox, client(sandbox) as api:
        whole = (await api.get(LIST)).content
        entries = json.loads(whole)["sessions"]
        expected = {
            "half": entries[:2],
            "empty": [],
            "duplicates": [*entries, entries[0]],
            "malformed": [*entries, "env_1"],
        }
        for fault, listed in expected.items():
            sandbox.set_list(fault)
            assert (await api.get(LIST)).json() == {"sessions": listed}
        sandbox.set_list("html")
        page = await api.get(LIST)
        assert (page.status_code, page.headers["content-type"][:9], page.text[:9]) == (200, "text/html", "<!doctype")
        sandbox.set_list("cut")
        assert (await api.get(LIST)).content == whole[:-2]
        assert (await api.get(f"{LIST}/env_0")).json() == entries[0], "only the list is affected"
        sandbox.token, good = "other", sandbox.token
        assert (await api.get(LIST)).status_code == 401
        sandbox.token = good
        sandbox.set_list(None)
        assert (await api.get(LIST)).content == whole
        assert {fault.value for fault in ListFault} == {*expected, "html", "cut", "endless"}
        with pytest.raises(ValueError, match="odd"):
            sandbox.set_list("odd")


async def test_an_endless_list_goes_on_until_the_client_has_enough() -> None:
    async with Sandbox(four()) as sandbox, client(sandbox) as api:
        sandbox.set_list("endless")
        read = 0
        async with api.stream("GET", LIST) as answer:
            assert answer.status_code == 200
            assert "content-length" not in answer.headers
            async for part in answer.aiter_raw():
                read += len(part)
                if read > 3_000_000:
                    break
        await sandbox.until(lambda s: s.open_connections == 0)
        sandbox.set_list(None)
        assert len((await api.get(LIST)).json()["sessions"]) == 4


async def test_a_ghost_answers_204_and_lives_on() -> None:
    async with Sandbox([Session("env_0", ghost=True), Session("env_1")]) as sandbox, client(sandbox) as api:
        for session_id in ("env_0", "env_0", "env_1"):
            assert (await api.delete(f"{LIST}/{session_id}")).status_code == 204
        assert [(s["sessionId"], s["alive"]) for s in (await api.get(LIST)).json()["sessions"]] == [("env_0", True)]
        assert (stopped(sandbox), sandbox.sends["env_0"]) == (["env_1"], 2)


async def test_a_session_is_renewed_on_the_servers_clock() -> None:
    async with Sandbox([Session("env_0", expires_at=1e9)], skew_s=86_400) as sandbox, client(sandbox) as api:
        await api.get(LIST)
        sandbox.renew("env_0", 600)
        for summary in ((await api.get(LIST)).json()["sessions"][0], (await api.get(f"{LIST}/env_0")).json()):
            expires_at = parsedate(summary["expiresAt"])
            assert expires_at == pytest.approx(time.time() + 86_400 + 600, abs=30)
        with pytest.raises(KeyError):
            sandbox.renew("env_9", 600)


async def test_what_happens_after_a_list_can_be_ordered() -> None:
    async with Sandbox(four()) as sandbox, client(sandbox) as api:
        sandbox.after_list = lambda s: s.renew("env_0", 600)
        before = (await api.get(LIST)).json()["sessions"][0]["expiresAt"]
        assert (await api.get(f"{LIST}/env_0")).json()["expiresAt"] > before


async def test_the_account_can_be_another_one_or_not_told() -> None:
    async with Sandbox(four(), user_id="usr_a") as sandbox, client(sandbox) as api:
        assert (await api.get("/auth/me")).json() == {
            "userId": "usr_a",
            "email": "usr_a@example.invalid",
            "plan": "sandbox",
        }
        switch_account(sandbox, "usr_b", [Session("env_9")])
        assert (await api.get("/auth/me")).json()["userId"] == "usr_b"
        assert [s["sessionId"] for s in (await api.get(LIST)).json()["sessions"]] == ["env_9"]
        assert (await api.delete(f"{LIST}/env_0")).status_code == 404
        sandbox.user_id = None
        answer = await api.get("/auth/me")
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_its_clock_can_be_moved_and_its_date_left_out() -> None:
    async with Sandbox(four()) as sandbox, client(sandbox) as api:
        for skew_s in (0, 86_400, -86_400):
            sandbox.stamp.skew_s = skew_s
            date = (await api.get(LIST)).headers["date"]
            assert parsedate_to_datetime(date).timestamp() == pytest.approx(time.time() + skew_s, abs=30)
        sandbox.stamp.dated = False
        assert "date" not in (await api.get(LIST)).headers


def test_fields_of_a_summary_can_be_odd_or_missing() -> None:
    odd = Session("env_0", odd={"expiresAt": "soon", "new": 1}, without=frozenset({"status"})).summary()
    assert (odd["expiresAt"], odd["new"], "status" in odd) == ("soon", 1, False)
    assert Session("env_0", status="ended").summary()["alive"] is False


def test_assorted_sessions_are_of_every_state_and_age_and_repeatable() -> None:
    now = 2_000_000_000.0
    some = list(session_mix(500, now=now))
    assert some == list(session_mix(500, now=now))
    assert [s.session_id for s in some] == [s.session_id for s in session_mix(500)]
    assert len({s.session_id for s in some}) == 500
    assert {s.status for s in some} == {"running", "starting", "failed", "ended"}
    assert {s.active for s in some if s.status == "ended"} == {True, False}
    assert len({(now - s.created_at, s.expires_at - now) for s in some}) > 90
    assert {s.batch_id for s in some} == {None, *(f"batch-{n:02d}" for n in range(8))}
    assert {len(s.clone_ids) for s in some} == {0, 1, 2}
    assert None in {s.scenario_id for s in some}
    assert all(abs(now - s.expires_at - 120) >= 60 and abs(now - s.created_at - 86_520) >= 60 for s in some)


def test_the_control_surface_orders_them_from_another_terminal() -> None:
    with running_sandbox(four()) as sandbox:
        surface = f"{sandbox.url}{control.PATH}"
        wish = {"list": "half", "user": "usr_b", "skew_s": -60.5, "renew": {"env_0": 600}}
        state = httpx.post(surface, json=wish, trust_env=False).json()
        assert (state["list"], state["user"], state["skew_s"]) == ("half", "usr_b", -60.5)
        assert sandbox.do(lambda s: s.sessions["env_0"].expires_at) > time.time() + 300
        state = httpx.post(surface, json={"list": "ok", "user": ""}, trust_env=False).json()
        assert (state["list"], state["user"], state["skew_s"]) == ("ok", "", -60.5)
        assert sandbox.do(lambda s: (s.user_id, s.list_fault)) == (None, None)


@pytest.mark.parametrize(
    "wish",
    [
        {"list": "odd"},
        {"list": 5},
        {"user": None},
        {"skew_s": "1"},
        {"skew_s": True},
        {"skew_s": 1e9},
        {"renew": ["env_0"]},
        {"renew": {"env_0": "1"}},
        {"renew": {"env_9": 1}},
    ],
)
def test_a_wrong_wish_changes_nothing(wish: dict[str, object]) -> None:
    sandbox = Sandbox(four())
    before = control.state(sandbox)
    body = json.dumps({"token": "new", "mode": "outage"} | wish).encode()
    answer = control.answer(sandbox, Request("POST", control.PATH, {}, body, False), local=True)
    assert answer.status == 400
    assert control.state(sandbox) == before


def parsedate(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()
