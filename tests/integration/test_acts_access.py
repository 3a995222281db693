"""Who may act on the web page, and what is said and logged of those who may not."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
from pathlib import Path

import anyio
import pytest

from reaper.app.console import acts
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Outcome
from reaper.settings.sections import TelemetrySettings
from reaper.telemetry import logs
from reaper.telemetry.http.request import Request
from tests.support.acts import BODIES, facts
from tests.support.console import TOKEN, add, console, fill, hold, settle
from tests.support.docs.blocks import blocks
from tests.support.http.ask import ask
from tests.support.queues.memory import MemoryQueue

pytestmark = pytest.mark.anyio


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
    file.chmod(0o600)
    file.write_text("nonsense\n")
    await post(2, 503, {})  # another reason is another matter
    clock[0] += 61
    await post(1, 503, {})
    logs.flush()
    lines = list(map(json.loads, written.getvalue().splitlines()))
    assert [(line["event"], line.get("count")) for line in lines] == [
        ("operator.refused", 1), ("operator.refused", 4), ("listener.failed", None), ("listener.failed", None),
        ("listener.failed", None),
    ]  # fmt: skip
    assert ["chmod 600" in line["detail"] for line in lines[2:]] == [True, False, False]
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
        assert "all 1 that are" not in html
        assert "the one that is" in html
        assert (await desk.get("/ids"))[0] == 404
        assert 'href="act"' in (await desk.get("/"))[1]
