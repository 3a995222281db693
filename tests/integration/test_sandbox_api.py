"""The stand-in behaves as the API's documentation says."""

import asyncio
import json
import re
import ssl
import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from reaper.sandbox.recorder import fingerprint
from reaper.sandbox.server import Sandbox
from reaper.sandbox.sessions import Session, generate
from tests.support.sandbox import running_sandbox, stopped

pytestmark = pytest.mark.anyio

REQUIRED = {"sessionId", "status", "cloneIds", "endpoints", "apiBaseUrls", "createdAt", "expiresAt"}


def client(sandbox: Sandbox, token: str | None = None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token or sandbox.token}"}
    return httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False)


async def test_a_session_is_listed_read_stopped_once_and_gone_after() -> None:
    async with Sandbox([Session("env_1"), Session("env_2")]) as sandbox, client(sandbox) as api:
        listed = (await api.get("/api/sessions")).json()["sessions"]
        assert [summary["sessionId"] for summary in listed] == ["env_1", "env_2"]
        assert all(summary.keys() >= REQUIRED for summary in listed)
        stop = await api.delete("/api/sessions/env_1")
        assert (stop.status_code, stop.content) == (204, b"")
        assert "content-length" not in stop.headers
        again = await api.delete("/api/sessions/env_1")
        assert again.status_code == 404
        assert again.json().keys() >= {"error", "code", "message"}
        assert [s["sessionId"] for s in (await api.get("/api/sessions")).json()["sessions"]] == ["env_2"]
        ended = (await api.get("/api/sessions/env_1")).json()
        assert (ended["status"], ended["alive"]) == ("ended", False)
        assert (await api.get("/api/sessions/env_9")).status_code == 404
        assert (await api.get("/auth/me")).json()["plan"]
        assert [(d.session_id, d.status, d.executed) for d in sandbox.deletes] == [
            ("env_1", 204, True),
            ("env_1", 404, False),
        ]
        assert stopped(sandbox) == ["env_1"]
        assert sandbox.sends == {"env_1": 2}
        assert (sandbox.counters.deletes, sandbox.counters.executed) == (2, 1)
        assert (sandbox.counters.lists, sandbox.counters.gets, sandbox.counters.connections) == (2, 2, 1)


async def test_somebody_elses_session_is_403_and_never_listed() -> None:
    async with Sandbox([Session("env_1", foreign=True)]) as sandbox, client(sandbox) as api:
        assert (await api.get("/api/sessions")).json() == {"sessions": []}
        assert (await api.get("/api/sessions/env_1")).status_code == 403
        answer = await api.delete("/api/sessions/env_1")
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        assert stopped(sandbox) == []


async def test_every_call_needs_the_token_and_the_log_never_holds_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with Sandbox([Session("env_1")], log_path=log) as sandbox, client(sandbox, "wrong-secret") as api:
        for method, path in [("GET", "/api/sessions"), ("GET", "/auth/me"), ("DELETE", "/api/sessions/env_1")]:
            assert (await api.request(method, path)).status_code == 401
        bare = await api.delete("/api/sessions/env_1", headers={"authorization": "Basic eDp5"})
        assert (bare.status_code, bare.json()["error"]) == (401, "unauthorized")
        sandbox.token = "wrong-secret"  # a rotation while it runs
        assert (await api.delete("/api/sessions/env_1")).status_code == 204
        assert sandbox.counters.unauthorized == 4
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [line["status"] for line in lines] == [401, 401, 204]
        assert [line["token"] for line in lines] == [fingerprint("wrong-secret"), None, fingerprint("wrong-secret")]
        assert "wrong-secret" not in log.read_text() + repr(sandbox.deletes)


UNCLEAN = """
/api/sessions /api/sessions/ /api/sessions/a/b /api/sessions/a?x=1 /api/sessions/.. /api/sessions/%zz /api/sessions/%ff
/x/env_1 //api/sessions/env_1
"""


@pytest.mark.parametrize("path", UNCLEAN.split())
async def test_a_delete_that_names_not_exactly_one_segment_is_unclean(path: str) -> None:
    async with Sandbox([Session("a"), Session("env_1")]) as sandbox:
        status, body = await exchange(sandbox, "DELETE", path)
        assert (status, json.loads(body)["error"]) == (404, "not_found")
        assert (sandbox.counters.unclean, stopped(sandbox)) == (1, [])
        assert (sandbox.deletes[0].session_id, sandbox.deletes[0].path) == (None, path)


async def test_one_percent_encoded_segment_is_decoded() -> None:
    async with Sandbox([Session("a/b c?é")]) as sandbox:
        assert (await exchange(sandbox, "DELETE", "/api/sessions/a%2Fb%20c%3F%C3%A9"))[0] == 204
        assert (stopped(sandbox), sandbox.counters.unclean) == (["a/b c?é"], 0)


async def test_answers_carry_a_date_and_a_request_id_of_their_own() -> None:
    async with Sandbox(skew_s=3600) as sandbox, client(sandbox) as api:
        first, second = await api.get("/nowhere"), await api.get("/nowhere")
        assert (first.status_code, first.json()["error"]) == (404, "not_found")
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        ahead_s = parsedate_to_datetime(first.headers["date"]).timestamp() - time.time()
        assert ahead_s == pytest.approx(3600, abs=30)
        assert sandbox.counters.others == 2


async def test_post_creates_once_per_idempotency_key_and_checks_its_body() -> None:
    async with Sandbox() as sandbox, client(sandbox) as api:
        wish = {"clones": ["github"], "ttlSeconds": 60}
        made = [await api.post("/api/sessions", json=wish, headers={"idempotency-key": key}) for key in "aab"]
        ids = [answer.json()["sessionId"] for answer in made]
        assert ids[0] == ids[1] != ids[2]
        assert sandbox.sessions.active == [ids[0], ids[2]]
        assert sandbox.sessions[ids[0]].expires_at - sandbox.sessions[ids[0]].created_at == pytest.approx(60)
        wrong: list[object] = [{}, {"clones": []}, {"clones": ["github"], "ttlSeconds": 86401}, []]
        for bad in wrong:
            assert (await api.post("/api/sessions", json=bad)).status_code == 400
        assert (await api.delete(f"/api/sessions/{ids[0]}")).status_code == 204


def test_generated_sessions_depend_on_the_seed_alone() -> None:
    first = list(generate(500, 7, now=1e9))
    assert first == list(generate(500, 7, now=1e9))
    assert [s.session_id for s in first] == [s.session_id for s in generate(500, 7)]
    assert {s.session_id for s in first}.isdisjoint(s.session_id for s in generate(5, 8) if s.session_id[0] == "s")
    assert len({session.session_id for session in first}) == 500
    assert {session.status for session in first} == {"running", "starting", "failed"}
    assert 50 < sum(session.expires_at < 1e9 for session in first) < 300
    assert all(session.created_at < session.expires_at for session in first)


async def test_pipelined_requests_are_answered_in_order() -> None:
    sessions = [Session(f"env_{n}") for n in range(50)]
    async with Sandbox(sessions, latency="0-2ms") as sandbox:
        reader, writer = await asyncio.open_connection(*address(sandbox))
        for n in range(100):
            writer.write(request(sandbox, "DELETE", f"/api/sessions/env_{n}"))
        writer.write(request(sandbox, "GET", "/auth/me", close=True))
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", await reader.read())]
        writer.close()
        await writer.wait_closed()
        assert statuses == [204] * 50 + [404] * 50 + [200]
        assert sandbox.counters.peak_in_flight == 1


async def test_bytes_that_are_no_request_get_400() -> None:
    async with Sandbox() as sandbox:
        reader, writer = await asyncio.open_connection(*address(sandbox))
        writer.write(b"hello\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 and its key."""
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    subprocess.run([*make, *names], check=True, capture_output=True)
    return cert, key


async def test_over_tls(certificate: tuple[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trust = ssl.create_default_context(cafile=certificate[0])
    async with Sandbox([Session("env_1")], ssl_context=context) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=trust, trust_env=False) as api:
            headers = {"authorization": f"Bearer {sandbox.token}"}
            assert (await api.delete(f"{sandbox.url}/api/sessions/env_1", headers=headers)).status_code == 204
            sandbox.set_mode("reset")
            with pytest.raises(httpx.TransportError):
                await api.get(f"{sandbox.url}/auth/me")


def test_in_a_thread_it_is_watched_and_changed_from_outside() -> None:
    with running_sandbox([Session("env_1"), Session("env_2")], token="first") as sandbox:
        with httpx.Client(base_url=sandbox.url, headers={"authorization": "Bearer first"}, trust_env=False) as api:
            assert api.delete("/api/sessions/env_1").status_code == 204
            sandbox.do(lambda s: setattr(s, "token", "second"))
            assert api.delete("/api/sessions/env_2").status_code == 401
            sandbox.until(lambda s: s.counters.unauthorized == 1)
            with pytest.raises(TimeoutError):
                sandbox.until(lambda s: s.counters.unauthorized == 2, timeout_s=0.02)
        assert (sandbox.token, sandbox.sends) == ("second", {"env_1": 1, "env_2": 1})
        assert [delete.status for delete in sandbox.deletes] == [204, 401]
        sandbox.down()
        with pytest.raises(httpx.ConnectError):
            httpx.get(sandbox.url, trust_env=False)
        sandbox.up()
        assert httpx.get(f"{sandbox.url}/_sandbox", trust_env=False).json()["deletes"] == 2


def test_a_thread_that_cannot_start_says_why() -> None:
    with pytest.raises(ValueError, match="latency"), running_sandbox(latency="fast"):
        pass


async def test_a_sandbox_serves_until_it_is_closed() -> None:
    async with Sandbox(3, seed=1, remember=False) as sandbox:
        assert sandbox.sessions.active == [session.session_id for session in generate(3, 1)]
        assert (await exchange(sandbox, "DELETE", f"/api/sessions/{sandbox.sessions.active[0]}"))[0] == 204
        assert sandbox.deletes == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address(sandbox))


def test_a_wrong_option_is_refused() -> None:
    for bad in ({"port": 70_000}, {"token": ""}, {"sessions": -1}, {"fail": "502"}, {"latency": "5"}):
        with pytest.raises(ValueError, match=r"\w"):
            Sandbox(**bad)


def address(sandbox: Sandbox) -> tuple[str, int]:
    url = httpx.URL(sandbox.url)
    assert url.port is not None
    return url.host, url.port


def request(sandbox: Sandbox, method: str, path: str, *, close: bool = False) -> bytes:
    end = "connection: close\r\n" if close else ""
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {sandbox.token}\r\n{end}\r\n".encode()


async def exchange(sandbox: Sandbox, method: str, path: str) -> tuple[int, bytes]:
    """One request with its path exactly as written."""
    reader, writer = await asyncio.open_connection(*address(sandbox))
    writer.write(request(sandbox, method, path, close=True))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head[9:12]), body
