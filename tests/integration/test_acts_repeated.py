"""Acts beside others: one at a time, decided before, cut off and repeated."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from reaper.core.acts import KEY, Act, read_acts, with_act
from reaper.core.discovery.holds import Guard
from reaper.core.errors import QueueUnavailableError
from reaper.intake.discovery.held_sweeps import LISTED
from tests.support.acts import BODIES
from tests.support.console import TOKEN, add, console, hold

pytestmark = pytest.mark.anyio


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
