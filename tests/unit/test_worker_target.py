"""A worker at another address than the queue's sends and reads nothing, and works when they agree. In virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from reaper.core import account, target
from reaper.core.account import Account
from reaper.core.errors import Exit
from reaper.core.model import Answered, Lease, LeaseResult, Outcome, PauseReason, Reply, SessionId
from reaper.core.preflight import Proceed, Recheck
from reaper.worker.supervisor import MAINTENANCE_S
from tests.support.worker import GONE, STOPPED, World, well, world

pytestmark = pytest.mark.anyio

HERE, THERE = "https://archal.ai", "https://staging.archal.ai"
READS = pytest.mark.parametrize("verify", [True, False], ids=["reads", "no reads"])
SOON_S = MAINTENANCE_S + 1


async def pin(one: World, address: str | None) -> None:
    """Pin another address, as `check --accept-target` of another process does."""
    assert await one.queue.compare_and_set(target.KEY, address, was=await one.queue.read_value(target.KEY))


@asynccontextmanager
async def running(one: World) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(one.worker.run)
        yield
        one.worker.drain()


def holds(one: World) -> list[PauseReason]:
    return [pause.reason for pause in one.worker.gate.pauses(anyio.current_time())]


@READS
async def test_once_ends_at_once_and_names_both_addresses(verify: bool) -> None:
    one = await world(3, well, verify=verify, address=lambda: THERE)
    await pin(one, HERE)
    summary = await one.run()
    assert (summary.exit, summary.view.open, summary.sends) == (Exit.UNAVAILABLE, 3, 0)
    assert summary.duration_s < 2
    assert HERE in (summary.why or "")
    assert THERE in (summary.why or "")
    assert (one.api.reads, one.api.sent) == ([], {})


@READS
async def test_the_first_proof_pins_the_address_and_the_next_run_agrees(verify: bool) -> None:
    """Without reads it is the first 2xx to a DELETE, however short the run is."""
    one = await world(1, well, verify=verify, address=lambda: HERE)
    assert (await one.run()).exit is Exit.OK
    assert await one.queue.read_value(target.KEY) == HERE
    assert f"target: {HERE}" in one.journal.queue


async def test_a_404_alone_pins_nothing() -> None:
    async def gone(_: SessionId, __: int) -> Reply:
        return GONE

    one = await world(3, gone, verify=False, address=lambda: HERE)
    await one.run()
    assert await one.queue.read_value(target.KEY) is None


@READS
async def test_a_pin_that_changed_elsewhere_holds_a_working_reaper_up_until_it_agrees_again(verify: bool) -> None:
    one = await world(200, well, verify=verify, address=lambda: HERE, gives_up=False, bound=1, latency_s=0.5)
    async with running(one):
        await anyio.sleep(5)
        assert await one.queue.read_value(target.KEY) == HERE
        await pin(one, THERE)
        await anyio.sleep(SOON_S)
        sent, reads = one.worker.sends, len(one.api.reads)
        await anyio.sleep(60)
        assert (one.worker.sends, len(one.api.reads), holds(one)) == (sent, reads, [PauseReason.WRONG_TARGET])
        await pin(one, HERE)
        await anyio.sleep(SOON_S)
        assert holds(one) == []
        assert one.worker.sends > sent
    assert one.journal.pauses == ["+wrong_target", "-wrong_target."]


async def test_an_account_that_was_accepted_elsewhere_is_proven_before_the_next_send() -> None:
    one = await world(200, well, address=lambda: HERE, gives_up=False, bound=1, latency_s=0.5)
    async with running(one):
        await anyio.sleep(5)
        was = await one.queue.read_value(account.KEY)
        assert await one.queue.compare_and_set(account.KEY, Account("usr_2").to_text(), was=was)
        await anyio.sleep(SOON_S)
        sent = one.worker.sends
        await anyio.sleep(60)
        assert (one.worker.sends, holds(one)) == (sent, [PauseReason.WRONG_TARGET])
        assert await one.queue.compare_and_set(account.KEY, was, was=Account("usr_2").to_text())
        await anyio.sleep(30)
        assert holds(one) == []
        assert one.worker.sends > sent


@READS
async def test_a_reload_during_a_comparison_is_not_undone_by_it(verify: bool) -> None:
    """The comparison began with the address before; its result says nothing of the address now."""
    at = [HERE]
    one = await world(50, well, verify=verify, address=lambda: at[-1], gives_up=False, bound=1, latency_s=0.5)
    await pin(one, HERE)
    read_value = one.queue.read_value

    compares = [anyio.Event()]

    async def slow(name: str) -> str | None:
        text = await read_value(name)
        if name == target.KEY:
            compares[-1].set()
            compares.append(anyio.Event())
        await anyio.sleep(0.4)
        return text

    one.queue.read_value = slow  # type: ignore[method-assign]
    async with running(one):
        for into_s in (0.0, 0.1, 0.2, 0.3, 0.39, 0.5):  # instants of a comparison
            await compares[-1].wait()
            await anyio.sleep(into_s)
            at.append(THERE)
            one.token.generation += 1
            one.worker.gate.target_changed(anyio.current_time(), one.token.generation, moved=("http://a", "http://b"))
            one.worker.gate.hold_target(anyio.current_time(), "elsewhere")
            await anyio.sleep(0.6)  # longer than what was in flight
            before = one.worker.sends, len(one.api.reads)
            await anyio.sleep(5.11)
            assert (one.worker.sends, len(one.api.reads)) == before
            at.append(HERE)
            one.token.generation += 1
            one.worker.gate.target_changed(anyio.current_time(), one.token.generation, moved=("http://a", "http://b"))
            one.worker.gate.hold_target(anyio.current_time(), None)


async def test_a_read_that_confirms_answers_of_404_does_not_go_to_another_address_either() -> None:
    """It waits a moment for the ledger; the address may change in that moment."""

    async def gone(_: SessionId, __: int) -> Reply:
        return GONE

    one = await world(400, gone, address=lambda: HERE, gives_up=False, bound=2, latency_s=0.1)
    await pin(one, HERE)
    apply = one.queue.apply

    async def slow(results: Sequence[LeaseResult]) -> list[bool]:
        await anyio.sleep(0.3)
        return await apply(results)

    one.queue.apply = slow  # type: ignore[method-assign]
    async with running(one):
        await anyio.sleep(1)
        for _ in range(30):
            await anyio.sleep(0.37)
            one.worker.gate.hold_target(anyio.current_time(), "elsewhere")
            reads = len(one.api.reads)
            await pin(one, THERE)
            await anyio.sleep(2 * SOON_S)
            assert len(one.api.reads) == reads
            await pin(one, HERE)
            await anyio.sleep(SOON_S)
    assert len(one.api.reads) > 10


async def test_a_check_that_went_to_the_address_before_is_followed_by_no_delete() -> None:
    class Slow:
        def applies_to(self, lease: Lease) -> bool:
            return True

        async def __call__(self, lease: Lease, may_start: object) -> Recheck:
            await anyio.sleep(0.5)
            return Proceed("it expired")

    at = [HERE]
    one = await world(4, well, address=lambda: at[-1], gives_up=False, preflight=Slow())
    await pin(one, HERE)
    async with running(one):
        await anyio.sleep(0.3)
        at.append(THERE)
        one.worker.gate.hold_target(anyio.current_time(), "elsewhere")
        await anyio.sleep(10)
        assert one.worker.sends == 0
    assert one.worker.gate.in_flight == 0


async def test_a_late_429_asks_for_silence_at_the_host_that_it_came_from() -> None:
    sent = anyio.Event()

    async def throttled_late(_: SessionId, number: int) -> Reply:
        if number > 1:
            return STOPPED
        sent.set()
        await anyio.sleep(2.0)
        return Answered(429, b"{}", 2.0, retry_after="600")

    at = [HERE]
    one = await world(1, throttled_late, address=lambda: at[-1], gives_up=False)
    await pin(one, HERE)
    gate = one.worker.gate
    async with running(one):
        await sent.wait()
        for number, (before, after) in enumerate([(HERE, THERE), (THERE, HERE)], 1):
            at.append(after)
            one.token.generation = number
            gate.target_changed(anyio.current_time(), number, moved=(before, after))
            if after == THERE:
                gate.hold_target(anyio.current_time(), "elsewhere")
                await anyio.sleep(3.0)
                assert PauseReason.THROTTLED not in holds(one), "the other address asked for nothing"
        gate.hold_target(anyio.current_time(), None)
        await anyio.sleep(300.0)
        assert (one.worker.sends, holds(one)) == (1, [PauseReason.THROTTLED])
        await anyio.sleep(400.0)
        assert one.worker.sends == 2


async def test_an_older_queue_is_pinned_by_its_next_read() -> None:
    one = await world(2, well, address=lambda: HERE)
    assert await one.queue.compare_and_set(account.KEY, Account("usr_1").to_text(), was=None)
    summary = await one.run()
    assert summary.view.settled == {Outcome.STOPPED: 2}
    assert one.journal.queue == [f"target: {HERE}"]
