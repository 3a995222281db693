"""Calls in batches: one batch at a time, an error for its own calls, and no result that nobody gets."""

import asyncio
from collections.abc import Sequence

import pytest

from reaper.queues.batching import Batcher

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Engine:
    """Notes its batches, and answers when it may; negative numbers are errors, 13 fails the whole batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def run(self, numbers: Sequence[int]) -> Sequence[object]:
        self.batches.append(list(numbers))
        self.began.set()
        await self.may_answer.wait()
        if 13 in numbers:
            raise OSError("13")
        return [ValueError(str(number)) if number < 0 else 10 * number for number in numbers]


async def test_what_is_posted_meanwhile_is_one_batch_within_the_limit() -> None:
    engine = Engine()
    batcher = Batcher(engine.run, limit=3)
    assert await asyncio.gather(*(batcher.post(number).wait() for number in range(5))) == [0, 10, 20, 30, 40]
    assert engine.batches == [[0, 1, 2], [3, 4]]
    assert batcher.task is None


async def test_an_error_goes_to_its_own_calls() -> None:
    engine = Engine()
    batcher = Batcher(engine.run, limit=2)
    results = await asyncio.gather(
        *(batcher.post(number).wait() for number in (1, -2, 13, 4, 5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [int, ValueError, OSError, OSError, int]


async def test_a_call_cancelled_before_its_batch_does_not_happen() -> None:
    engine = Engine()
    batcher = Batcher(engine.run, limit=5)
    kept, doomed = batcher.post(1), batcher.post(2)
    doomed.future.cancel()
    assert await kept.wait() == 10
    assert engine.batches == [[1]]


@pytest.mark.parametrize("number", [7, -7])
async def test_a_result_that_no_caller_waits_for_is_undone(number: int) -> None:
    engine = Engine()
    engine.may_answer.clear()
    undone: list[int] = []
    batcher = Batcher(engine.run, limit=1)
    caller = asyncio.create_task(batcher.post(number, undone.append).wait())
    await engine.began.wait()
    running = batcher.task
    assert running is not None
    caller.cancel()
    engine.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await running
    assert undone == ([70] if number > 0 else [])


async def test_a_result_that_comes_with_the_cancellation_is_undone() -> None:
    engine = Engine()
    engine.may_answer.clear()
    undone: list[int] = []
    call = Batcher(engine.run, limit=1).post(7, undone.append)
    call.future.add_done_callback(lambda _: caller.cancel())
    caller = asyncio.create_task(call.wait())
    await engine.began.wait()
    engine.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert undone == [70]


async def test_calls_are_cancelled_with_the_task_that_would_have_run_them() -> None:
    engine = Engine()
    engine.may_answer.clear()
    batcher = Batcher(engine.run, limit=1)
    callers = [asyncio.create_task(batcher.post(number).wait()) for number in (1, 2)]
    await engine.began.wait()
    assert batcher.task is not None
    batcher.task.cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert batcher.task is None
