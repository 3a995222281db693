"""A listener with the whole console over a SQLite ledger of its own, and rows with texts from hostile hands."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from reaper.app.console.routes import ConsoleRoutes
from reaper.core.discovery.holds import KEY as HOLDS
from reaper.core.discovery.holds import Guard, Hold, add_hold, read_holds, to_text
from reaper.core.discovery.policy import Rule
from reaper.core.model import LeaseResult, Outcome, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from reaper.queues.values import Batch, NewItem
from reaper.settings.sections import TelemetrySettings
from reaper.telemetry.endpoints import health_pages
from reaper.telemetry.http.server import serve
from reaper.telemetry.metrics import Metrics
from tests.support.http.ask import ask
from tests.support.page import NASTY, WHOSE, Worker

TOKEN = "correct-horse-battery-staple"


@dataclass
class Desk:
    """A listener, its queue, and the settings that a test changes."""

    where: str
    queue: Queue
    settings: TelemetrySettings
    worker: Worker = field(default_factory=Worker)

    async def get(self, path: str) -> tuple[int, str]:
        first, _, body = await ask(self.where, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return int(first.split()[1]), body.decode()

    async def post(self, path: str, body: object, token: str | None = TOKEN, **headers: str) -> tuple[int, Any]:
        """Send an act; return its status, and its JSON or its text."""
        data = json.dumps(body).encode() if not isinstance(body, bytes) else body
        given = {"host": self.where, "content-type": "application/json", "content-length": str(len(data))}
        given |= {"authorization": f"Bearer {token}"} if token else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        first, got, answer = await ask(self.where, f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        status = int(first.split()[1])
        is_json = got.get("content-type") == "application/json"
        return status, json.loads(answer) if is_json else answer.decode()


@asynccontextmanager
async def console(tmp_path: Path, *, page_ids: bool = True, admin: bool = False, url: str = "") -> AsyncIterator[Desk]:
    url = url or f"sqlite:///{tmp_path}/reaper.db"
    opened = await open_queue(url, create=True, read_only=False, worker=True)
    token_file = tmp_path / "admins"
    if admin:
        token_file.write_text(f"# who may act\nann {TOKEN}\nbob {TOKEN[::-1]}\n")
        token_file.chmod(0o600)
    settings = TelemetrySettings(page_ids=page_ids, admin_token_file=token_file if admin else None)
    worker = Worker()
    try:
        routes = ConsoleRoutes(opened.queue, lambda: settings, lambda: WHOSE)
        pages = health_pages(worker, opened.queue, Metrics(), lambda: WHOSE, routes.navigation)
        async with anyio.create_task_group() as group:
            where = await group.start(
                lambda task_status: serve("127.0.0.1", 0, lambda: routes.beside(pages), task_status=task_status)
            )
            yield Desk(where, opened.queue, settings, worker)
            group.cancel_scope.cancel()
    finally:
        await opened.queue.close()


async def add(queue: Queue, ids: Sequence[str], source: str = "ids.txt", after_s: float = 0.0) -> None:
    due_at = queue.now() + after_s if after_s else None
    await queue.add(Batch(source, [NewItem(SessionId(each), due_at) for each in ids]))


async def settle(queue: Queue, outcome: Outcome, status: int | None, detail: str = "", limit: int = 20_000) -> None:
    """Play the worker for all that is due."""
    left = limit
    while left > 0 and (leases := await queue.claim(min(256, left), lease_s=60)):
        send = Send(at=time.time(), duration_s=0.25, status=status, error=None if status else "timeout")
        done = [LeaseResult(each, Settle(outcome, detail.format(id=each.session_id)), send) for each in leases]
        assert all(await queue.apply(done))
        left -= len(leases)


async def fill(queue: Queue) -> None:
    """Put something in each state."""
    await add(queue, ["env_ok"])
    await settle(queue, Outcome.STOPPED, 204)
    await add(queue, [f"env_403_{number}" for number in range(3)])
    await settle(queue, Outcome.FORBIDDEN, 403, "session {id} belongs to somebody else")
    await add(queue, ["env_422"], source=f"/srv/{NASTY}.txt")
    await settle(queue, Outcome.REJECTED, 422, NASTY.replace("{", "{{").replace("}", "}}"))
    await add(queue, ["env_late_1", "env_late_2"], source="later.txt", after_s=3600)
    await add(queue, ["env_flying"])
    await queue.claim(1, lease_s=60)
    await add(queue, ["env_ready"], source="now.txt")
    await hold(queue, "h1", ["env_held_1", "env_held_2"])


async def hold(queue: Queue, name: str, ids: Sequence[str], guard: Guard = Guard.MAX_SHARE) -> None:
    now, text = queue.now(), await queue.read_value(HOLDS)
    sessions = {SessionId(each): Rule.EXPIRED for each in ids}
    held = Hold(name, now, now + 3600, (guard,), f"{len(ids)} of {len(ids)} live sessions", sessions)
    assert await queue.compare_and_set(HOLDS, to_text(add_hold(read_holds(text), held)), was=text)
