"""The end of `once --for`: the exit code and the reason when something else is wrong as the time is up."""

from __future__ import annotations

import anyio
import pytest

from reaper.core.errors import Exit, QueueUnavailableError
from reaper.core.model import Answered, PauseReason, Reply, SessionId
from tests.support.worker import BAD, LIST, STOPPED, World, world

pytestmark = pytest.mark.anyio

UNAUTHORIZED = Answered(401, b"{}", 0.0)
DOWN = Answered(503, b"", 0.0)


async def slow(_: SessionId, __: int) -> Reply:
    await anyio.sleep(3.0)
    return STOPPED


async def with_list(listing: Reply, *, budget_s: float = 10.0) -> World:
    w = await world(40, slow, bound=2, budget_s=budget_s)
    w.api.listing = listing
    return w


@pytest.mark.parametrize(
    ("listing", "code", "reason"),
    [(UNAUTHORIZED, Exit.CREDENTIALS, "credentials: "), (DOWN, Exit.UNAVAILABLE, "api_down: ")],
)
async def test_a_trouble_that_holds_when_the_time_is_up_is_the_reason(listing: Reply, code: Exit, reason: str) -> None:
    summary = await (await with_list(listing)).run()
    assert summary.exit is code
    assert summary.why is not None
    assert summary.why.startswith(reason)
    assert summary.why.endswith("(the time budget of 10 s is used up)")


async def test_without_a_trouble_work_is_left() -> None:
    w = await with_list(LIST, budget_s=60.0)
    summary = await w.run()
    assert summary.exit is Exit.WORK_LEFT
    assert summary.why == "the time budget of 60 s is used up; its last 25 s were kept for what was in flight"
    assert summary.view.open == 40 - sum(summary.view.settled.values())


async def test_a_queue_that_is_away_when_the_time_is_up_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await with_list(LIST, budget_s=20.0)
    began = anyio.current_time()
    claim = w.queue.claim

    async def away(*args: object, **how: object) -> object:
        if anyio.current_time() - began > 5:
            raise QueueUnavailableError("away")
        return await claim(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(w.queue, "claim", away)
    monkeypatch.setattr(w.queue, "paused", away_after(began))
    summary = await w.run()
    assert summary.exit is Exit.UNAVAILABLE
    assert "the queue has been unavailable for" in str(summary.why)


def away_after(began: float) -> object:
    async def paused() -> None:
        if anyio.current_time() - began > 5:
            raise QueueUnavailableError("away")

    return paused


async def test_a_pause_shows_the_nearer_of_its_own_end_and_the_budgets() -> None:
    shown = []
    w = await with_list(UNAUTHORIZED)

    async def look() -> None:
        await anyio.sleep(3.0)
        pauses = w.worker.pauses()
        assert pauses[0].reason is PauseReason.CREDENTIALS
        shown.append(w.once.time_until_exit_s(pauses, 0.0))

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        await w.run()
    assert shown == [pytest.approx(2.0, abs=0.1)]


@pytest.mark.parametrize("budget_s", [20.0, 26.0, 32.0, 38.0, 44.0, 50.0, 53.0, 61.0])
async def test_a_pause_that_no_read_has_confirmed_is_no_reason(budget_s: float) -> None:
    """The teardown fails: after some failures each time `api_down` holds until the next read, which succeeds."""

    async def bad(_: SessionId, __: int) -> Reply:
        return BAD

    w = await world(40, bad, bound=2, budget_s=budget_s)
    assert (await w.run()).exit is Exit.WORK_LEFT


async def test_a_token_that_was_mended_in_time_is_no_reason() -> None:
    async def answer(_: SessionId, nth: int) -> Reply:
        if nth > 1:
            await anyio.sleep(30.0)
        return UNAUTHORIZED

    w = await world(4, answer, bound=1, budget_s=12.0)
    summary = await w.run()
    assert (summary.exit, summary.view.open) == (Exit.WORK_LEFT, 4)
