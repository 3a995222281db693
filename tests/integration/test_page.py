"""The page over a real socket, and in a real browser where there is one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import LeaseHolder, Outcome, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.queues.history import HistorySlot
from reaper.settings.sections import TelemetrySettings
from reaper.telemetry import logs
from reaper.telemetry.endpoints import FOR_PEOPLE, health_pages
from reaper.telemetry.http.request import Request
from reaper.telemetry.http.response import Page, text
from reaper.telemetry.http.router import Route
from reaper.telemetry.http.server import serve
from reaper.telemetry.metrics import Metrics
from reaper.telemetry.page import document, snapshot
from reaper.telemetry.page import render as page
from reaper.telemetry.page.view import Whose
from tests.support.browser import dom
from tests.support.http.ask import ask
from tests.support.page import NASTY, STATS, Health, Worker, paused

pytestmark = pytest.mark.anyio


GHOST = {"first": {"env_ghost": 1_800_000_000.0}, "proven": ["env_ghost"]}
HOLD = {
    "id": "h1", "created_at": 1_800_000_000.0, "expires_at": 1_800_000_900.0, "guards": ["max_share"],
    "reason": "9 of 10 live sessions", "sessions": {"env_held": "expired"}, "fate": "open", "by": None, "why": None,
    "decided_at": None,
}  # fmt: skip
VALUES = {
    "ghosts": json.dumps(GHOST), "holds": json.dumps([HOLD, {**HOLD, "id": "h2"}]), "unproven_gone": "600",
    "target": "https://archal.example", "account": '{"user_id": "u_1", "email": null}',
}  # fmt: skip

WHOSE = Whose("https://archal.example", "sqlite:////x/reaper.db", "staging", "sudo -u reaper reaper")


@dataclass
class Queue:
    owner: str = "me"
    asked: int = 0
    error: Exception | None = None
    takes_s: float = 0.0

    def now(self) -> float:
        return 1_800_000_000.0

    async def stats(self) -> Stats:
        self.asked += 1
        await anyio.sleep(self.takes_s)
        if self.error:
            raise self.error
        return STATS

    async def live_workers(self) -> list[WorkerHeartbeat]:
        return [WorkerHeartbeat(owner, 1, self.now() - 9, self.now(), 8) for owner in ("me", "other")]

    async def lease_holders(self) -> list[LeaseHolder]:
        return [LeaseHolder("other", 5, self.now() + 60)]

    async def paused(self) -> Pause | None:
        return None

    async def read_value(self, name: str, /) -> str | None:
        return VALUES.get(name)

    async def history(self, since: float, /) -> list[HistorySlot]:
        return [HistorySlot(1_800_000_000 - 600, {Outcome.STOPPED: 50, Outcome.REJECTED: 10})]


@dataclass
class Desk:
    """A listener with the pages of a worker and a queue that the test changes."""

    where: str
    pages: dict[str, Route]
    worker: Worker
    queue: Queue

    async def json(self) -> dict[str, object]:
        first, _, body = await ask(self.where, b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first.endswith("200 OK")
        found: dict[str, object] = json.loads(body)
        return found


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    worker, queue = Worker(), Queue()
    pages = health_pages(worker, queue, Metrics(), lambda: WHOSE)
    async with anyio.create_task_group() as group:
        where = await group.start(lambda task_status: serve("127.0.0.1", 0, lambda: pages, task_status=task_status))
        yield Desk(where, pages, worker, queue)
        group.cancel_scope.cancel()


async def test_without_scripts_the_state_is_there() -> None:
    async with desk() as here:
        here.worker.held = [paused()]
        _, _, body = await ask(here.where, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    html = body.decode()
    assert shown(html, "state") == "Paused: credentials"
    assert re.search(r"<noscript>.*as of 2027-01-15 08:00:00Z.*</noscript>", html)


async def test_the_page_and_its_json() -> None:
    async with desk() as here:
        first, headers, body = await ask(here.where, b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        assert first.endswith("200 OK")
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert b"2 sweeps wait for you" in body
        shown = await here.json()
        assert len(shown["reapers"]) == 2  # type: ignore[arg-type]


async def test_status_is_that_of_the_queue_with_this_process_as_it_is_now_and_no_session_id() -> None:
    async with desk() as here:
        here.worker.held = [paused()]
        here.worker.gate.limit = 3
        _, _, body = await ask(here.where, b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        here.queue.error = QueueUnavailableError("the engine is gone")
    found = json.loads(body)
    assert (found["target"], found["account"], found["queue"]) == (
        "https://archal.example", "u_1", "sqlite:////x/reaper.db",
    )  # fmt: skip
    assert [(each["limit"], each["in_flight"]) for each in found["workers"]] == [(3, 0), (8, 5)]
    assert found["limit"] == 11
    assert [pause["reason"] for pause in found["pauses"]] == ["credentials"]
    assert (found["hold_count"], found["ghost_count"], found["unproven_gone"]) == (2, 1, 600)
    assert [(hold["id"], hold["sessions"]) for hold in found["holds"]] == [("h1", 1), ("h2", 1)]
    assert found["ghosts"] == [{"first_seen_at": "2027-01-15T08:00:00.000Z"}]
    assert b"env_" not in body


@pytest.mark.parametrize("path", sorted(FOR_PEOPLE))
async def test_what_a_browser_is_shown_no_other_site_reads(path: str) -> None:
    async with desk() as here:
        for host, status in (("127.0.0.1", "200"), ("evil.example", "421")):
            first, _, _ = await ask(here.where, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert first.split()[1] == status


async def test_probes_and_scrapers_use_any_name() -> None:
    async with desk() as here:
        for path in ("/livez", "/readyz", "/metrics"):
            first, _, _ = await ask(here.where, f"GET {path} HTTP/1.1\r\nHost: reaper.monitoring.svc\r\n\r\n".encode())
            assert first.split()[1] == "200"


async def test_the_file_is_read_before_anyone_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade may replace it, or a removal take it away, while the daemon runs."""
    page.template.cache_clear()
    document.asset.cache_clear()
    async with desk() as here:
        monkeypatch.setattr(document, "files", None)
        first, _, _ = await ask(here.where, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first.endswith("200 OK")


async def test_many_who_look_ask_the_queue_once() -> None:
    async with desk() as here:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(here.json)
        assert here.queue.asked == 1


async def test_a_queue_that_fails_or_hangs_is_said_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MIN_CACHED_S", 0.0)
    monkeypatch.setattr(snapshot, "CACHED_PER_QUERY_S", 0)
    monkeypatch.setattr(snapshot, "QUEUE_TIMEOUT_S", 0.1)
    async with desk() as here:
        here.queue.error = QueueError("the ledger belongs to another user")
        assert "the ledger belongs to another user" in json.dumps(await here.json())
        here.queue.error, here.queue.takes_s = None, 60.0
        assert "did not answer within 0.1 s" in json.dumps(await here.json())
        here.queue.takes_s, here.worker.queue_health = 0.0, Health("connection refused", 9.0)
        assert "for 9 s: connection refused" in json.dumps(await here.json())
        here.worker.queue_health = Health()
        assert (await here.json())["kind"] == "work"


async def test_a_probe_that_finds_the_queue_away_makes_it_known() -> None:
    async with desk() as here:
        here.queue.error = QueueUnavailableError("the engine is gone")
        for _ in range(2):
            first, _, body = await ask(here.where, b"GET /readyz HTTP/1.1\r\n\r\n")
            assert first.split()[1] == "503"
            assert b"the engine is gone" in body
            assert here.worker.queue_health.why == "the engine is gone"
        assert here.queue.asked == 1, "one that is known to be away is not asked for each probe"


@pytest.mark.parametrize(("host", "told"), [("localhost", True), ("10.0.0.7:9464", True), ("evil.example", False)])
async def test_a_probe_under_the_name_of_another_site_is_told_no_detail(host: str, told: bool) -> None:
    async with desk() as here:
        here.worker.held = [paused(reason=PauseReason.CREDENTIALS, detail="the token of api.example is refused")]
        first, _, body = await ask(here.where, f"GET /readyz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert first.split()[1] == "503"
        assert body.startswith(b"paused (credentials)")
        assert (b"api.example" in body) == told
        here.worker.held, here.queue.error = [], QueueUnavailableError("queue.example refused the connection")
        first, _, body = await ask(here.where, f"GET /readyz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert first.split()[1] == "503"
        assert (b"queue.example" in body) == told


async def test_a_token_in_a_detail_is_masked() -> None:
    token = "hush-hush-0123456789"
    logs.configure(TelemetrySettings(), io.StringIO(), secrets=lambda: (token,))
    async with desk() as here:
        here.worker.held = [paused(detail=f"the answer was: Bearer {token}")]
        for path in ("/", "/page.json"):
            _, _, body = await ask(here.where, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert b"the answer was: Bearer" in body
            assert token.encode() not in body
        here.worker.queue_health = Health(f"refused {token}", 9.0)
        assert token not in json.dumps(await here.json())


# --- in a browser -------------------------------------------------------------------------------------------------


def shown(html: str, element_id: str) -> str:
    found = re.search(rf'id="{element_id}"[^>]*>(.*?)</', html, re.DOTALL)
    assert found is not None, element_id
    return found[1]


async def test_a_browser_keeps_up_and_runs_nothing_strange(tmp_path: Path) -> None:
    async with desk() as here:
        first = here.pages["/"]

        async def then_paused(request: Request) -> Page:
            shown_first = await first.answer(request)
            here.worker.held = [paused(PauseReason.OPERATOR, NASTY)]
            return shown_first

        here.pages["/"] = Route(then_paused, guarded=True)
        html = await dom(here.where, tmp_path)
    assert shown(html, "state") == "Paused: operator", "the script asked again"
    assert "&lt;img src=x onerror='alert(2)'&gt;" in html
    assert html.count("<img") == 0
    assert html.count("<script") == 1
    assert html.count('<rect class="k-') == 2
    assert html.count("<rect") == 60 + 2
    assert 'id="hold">Stop updating' in html, "the button is there once the script runs"


async def test_a_browser_says_that_contact_is_lost(tmp_path: Path) -> None:
    async def gone(_: Request) -> Page:
        return text(503, "gone")

    async with desk() as here:
        here.pages["/page.json"] = Route(gone, guarded=True)
        html = await dom(here.where, tmp_path)
    assert shown(html, "state") == shown(html, "said") == "No contact with this reaper"
    assert "it answered 503" in html
    assert 'data-lost=""' in html
