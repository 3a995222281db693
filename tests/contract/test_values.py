"""Notes: short texts of the queue as a whole, replaced only by who knows what stood there."""

import anyio
import pytest

from reaper.queues.base import Queue
from tests.support.queues.harness import Harness

pytestmark = pytest.mark.anyio


async def test_a_note_is_seen_by_every_process(queue: Queue, other: Queue) -> None:
    assert await queue.read_value("account") is None
    assert await queue.compare_and_set("account", "usr_1 · ü\n\"'%{}", was=None)
    assert await other.read_value("account") == "usr_1 · ü\n\"'%{}"
    assert await other.read_value("accounts") is None
    assert await queue.paused() is None, "a note is not mistaken for another setting"


async def test_only_who_knows_what_stands_there_replaces_it(queue: Queue, other: Queue) -> None:
    assert await queue.compare_and_set("holds", "1", was=None)
    assert not await other.compare_and_set("holds", "2", was=None)
    assert not await other.compare_and_set("holds", None, was="2")
    assert await other.compare_and_set("holds", "2", was="1")
    assert not await queue.compare_and_set("holds", "3", was="1")
    assert await queue.read_value("holds") == "2"
    assert await queue.compare_and_set("holds", None, was="2")
    assert await other.read_value("holds") is None
    assert await other.compare_and_set("holds", None, was=None)


async def test_a_long_note_comes_back_whole(queue: Queue) -> None:
    text = "ses_0123456789," * 20_000
    assert await queue.compare_and_set("long", text, was=None)
    assert await queue.read_value("long") == text
    assert (await queue.audit()).balanced


async def test_of_many_who_know_the_same_one_replaces_it(harness: Harness, queue: Queue) -> None:
    """What ten reapers see at the same time, one of them tells (`core/notifications.py`)."""
    queues = [queue, *[await harness.open() for _ in range(4)]]
    for was, text in ((None, "1"), ("1", "2"), ("2", None)):
        won: list[bool] = []

        async def replace(each: Queue, was: str | None = was, text: str | None = text, won: list[bool] = won) -> None:
            won.append(await each.compare_and_set("notifications", text, was=was))

        async with anyio.create_task_group() as group:
            for each in queues * 2:
                group.start_soon(replace, each)
        assert sorted(won) == [False] * 9 + [True]
        assert await queue.read_value("notifications") == text
