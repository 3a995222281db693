"""The console's reading of the queue: once for many who look, bounded, and said where it fails."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Outcome
from reaper.telemetry.page import console as pages
from reaper.telemetry.page import lists
from tests.support.console import add, console, settle

pytestmark = pytest.mark.anyio


async def test_a_queue_that_is_away_or_hangs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path) as desk:

        async def away() -> object:
            raise QueueUnavailableError("the engine is gone")

        async def hangs() -> object:
            await anyio.sleep(60)
            return None

        monkeypatch.setattr(pages, "QUEUE_TIMEOUT_S", 0.2)
        for stats, words in ((away, "the engine is gone"), (hangs, "did not answer within 0.2 s")):
            monkeypatch.setattr(desk.queue, "stats", stats)
            status, body = await desk.get("/ids")
            assert status == 503
            assert words in body


async def test_many_who_look_read_the_queue_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path) as desk:
        stats, asked = desk.queue.stats, []

        async def counted() -> object:
            asked.append(1)
            return await stats()

        monkeypatch.setattr(desk.queue, "stats", counted)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(desk.get, "/ids")
        assert len(asked) == 1


async def test_what_a_page_does_not_read_makes_no_other_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path) as desk:
        stats, asked = desk.queue.stats, []

        async def counted() -> object:
            asked.append(1)
            return await stats()

        monkeypatch.setattr(desk.queue, "stats", counted)
        monkeypatch.setattr(pages, "MIN_CACHED_S", 30.0)
        for query in ("", "?x=1", "?x=2", "?state=ready", "?x=1&state=ready", "?state=ready&state=ready"):
            _, body = await desk.get(f"/ids{query}")
            assert f'href="ids{"?state=ready" if "state" in query else ""}">load again' in body
        assert len(asked) == 2


async def test_a_page_that_takes_too_long_is_not_read_at_once_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path) as desk:
        asked = []

        async def hangs() -> object:
            asked.append(1)
            await anyio.sleep_forever()
            return None

        monkeypatch.setattr(pages, "QUEUE_TIMEOUT_S", 0.2)
        monkeypatch.setattr(desk.queue, "stats", hangs)
        for _ in range(3):
            status, body = await desk.get("/ids")
            assert (status, "did not answer within 0.2 s" in body) == (503, True)
        assert len(asked) == 1


async def test_a_filter_that_finds_little_does_not_read_on_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_READ", 1_000)
    async with console(tmp_path) as desk:
        await add(desk.queue, [f"env_{number:04}" for number in range(1_000)])
        assert "Nothing in the queue fits" in (await desk.get("/ids?source=rare"))[1]
        await add(desk.queue, [f"env_{number:04}" for number in range(1_000, 1_600)])
        await add(desk.queue, ["env_last"], source="rare.txt")
        _, body = await desk.get("/ids?source=rare.")
        assert "env_last" not in body
        assert "A list ends after 1,000 rows, fitting or not: narrow it, or use reaper list" in body
        assert "Nothing in the queue fits" not in body
        await settle(desk.queue, Outcome.FORBIDDEN, 403, "no right")
        assert "A list ends after" in (await desk.get("/ids?state=dead&message=odd"))[1]
        assert "A list ends after" not in (await desk.get("/ids?state=ready"))[1]
