"""Notes: short texts of the queue as a whole, replaced only by who knows what stood there."""

import pytest

from reaper.queues.base import Queue

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
