"""The address of the API is kept once for all processes of a queue, whatever the engine."""

from __future__ import annotations

import anyio
import pytest

from reaper.core import target
from reaper.core.classify import Proven
from reaper.core.model import Answered, Reply, SessionId
from reaper.core.target import OtherTarget
from reaper.queues.base import Queue
from reaper.worker.identity import Identity
from tests.support.worker import LIST, ME, Noted

pytestmark = pytest.mark.anyio

HERE, THERE = "https://archal.ai", "https://staging.archal.ai/v2"


class OneApi:
    def __init__(self) -> None:
        self.reads = 0

    async def list_sessions(self) -> Reply:
        self.reads += 1
        return LIST

    async def whoami(self) -> Reply:
        return ME

    async def stop(self, session_id: SessionId, may_start: object = None) -> Reply:
        return Answered(204, b"", 0.0)


async def test_two_processes_at_two_addresses_agree_on_one(queue: Queue, other: Queue) -> None:
    api = OneApi()
    processes = [
        Identity(lambda: (api, HERE), queue, Noted()),
        Identity(lambda: (api, THERE), other, Noted()),
    ]
    async with anyio.create_task_group() as group:
        for one in processes:
            group.start_soon(one.verdict)
    kept = await queue.read_value(target.KEY)
    assert kept in (HERE, THERE)
    assert await other.read_value(target.KEY) == kept
    verdicts = [await one.verdict() for one in processes]
    assert {type(verdict) for verdict in verdicts} == {Proven, OtherTarget}
    assert isinstance(verdicts[kept == HERE], OtherTarget), "the one that lost sends nothing"


async def test_an_accepted_address_counts_for_the_other_process_at_once(queue: Queue, other: Queue) -> None:
    api = OneApi()
    one = Identity(lambda: (api, HERE), queue, Noted())
    assert isinstance(await one.verdict(), Proven)
    assert await other.compare_and_set(target.KEY, THERE, was=HERE)
    assert await one.compare(proven=True) == OtherTarget(THERE, HERE)
    assert await one.read() == (None, OtherTarget(THERE, HERE))
    assert api.reads == 1
    assert await other.compare_and_set(target.KEY, HERE, was=THERE)
    assert await one.compare(proven=True) is None
