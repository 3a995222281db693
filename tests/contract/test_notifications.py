"""Ten reapers on one queue notify of each change once, on every engine (docs/notifications.md)."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from reaper.app.notifier import Notifier
from reaper.core.discovery import holds
from reaper.core.model import Outcome, SessionId
from reaper.core.notifications import KEY, MIN_LASTING_S, REPEAT_S, read_notified, to_text
from reaper.queues.base import Queue
from reaper.queues.values import Batch, NewItem
from tests.support.notified import Outgoing, hold_something, notifier_on
from tests.support.queues.harness import Harness, end_one

pytestmark = pytest.mark.anyio


async def reapers(harness: Harness, queue: Queue, sent: Outgoing) -> list[Notifier]:
    """Return ten reapers' notifiers, over five open queues."""
    queues = [queue, *[await harness.open() for _ in range(4)]]
    return [notifier_on(each, sent) for each in queues * 2]


async def all_look(notifiers: list[Notifier]) -> None:
    async with anyio.create_task_group() as group:
        for each in notifiers:
            group.start_soon(each.look, None)


async def test_ten_reapers_tell_of_a_hold_and_of_its_end_once(harness: Harness, queue: Queue) -> None:
    sent = Outgoing()
    notifiers = await reapers(harness, queue, sent)
    held = await hold_something(queue)
    for _ in range(3):
        await all_look(notifiers)
        harness.advance(MIN_LASTING_S)
    assert [each.title for each in sent.messages] == ["reaper: a sweep waits for you"]
    decided = replace(held, fate=holds.HoldState.DISCARDED, by="ann", decided_at=queue.now())
    assert await queue.compare_and_set(holds.KEY, holds.to_text((decided,)), was=holds.to_text((held,)))
    # The engines with a clock of their own go by it: there the message is that young, and its end waits.
    state = read_notified(await queue.read_value(KEY))
    if queue.now() - state.conditions["hold:h1"].notified_at < MIN_LASTING_S:
        await age(queue, MIN_LASTING_S)
    for _ in range(3):
        await all_look(notifiers)
    assert [each.title for each in sent.messages[1:]] == ["reaper: over: a sweep waits for you"]
    assert "discarded by ann" in sent.messages[1].body


async def age(queue: Queue, seconds: float) -> None:
    """Make what was notified older."""
    text = await queue.read_value(KEY)
    state = read_notified(text)
    older = {key: replace(one, notified_at=one.notified_at - seconds) for key, one in state.conditions.items()}
    assert await queue.compare_and_set(KEY, to_text(replace(state, conditions=older)), was=text)


async def test_dead_letters_come_with_their_counts(harness: Harness, queue: Queue) -> None:
    sent = Outgoing()
    await queue.add(Batch("test", [NewItem(SessionId(f"ses-{number}")) for number in range(3)]))
    for outcome in (Outcome.REJECTED, Outcome.FORBIDDEN, Outcome.REJECTED):
        await end_one(queue, outcome, 403)
    await all_look(await reapers(harness, queue, sent))
    (message,) = sent.messages
    assert message.title == "reaper: 3 sessions could not be stopped"
    assert "forbidden 1, rejected 2" in message.body
    assert "ses-" not in message.body


async def test_what_reached_nobody_is_told_again_by_another_reaper(queue: Queue, other: Queue) -> None:
    sent = Outgoing()
    await hold_something(queue)
    first, second = notifier_on(queue, sent), notifier_on(other, Outgoing())
    await first.look(None)
    sent.on_lost(sent.notifications[0])
    await second.look(None)
    await first.finish()
    assert not read_notified(await queue.read_value(KEY)).conditions["hold:h1"].delivered
    await age(queue, REPEAT_S)
    again = Outgoing()
    third = notifier_on(other, again)
    await third.look(None)
    await third.look(None)
    assert len(again.messages) == 1
