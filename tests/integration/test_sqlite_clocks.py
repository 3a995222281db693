"""The two clocks of a ledger: what is stored of them, and what deletes by them."""

from functools import partial
from pathlib import Path

import pytest

from reaper.core.model import Outcome, SessionId
from reaper.queues.sqlite.shared_values import RETENTION, STEADY, read_setting, write_setting
from tests.support.queues.harness import (
    LEASE_S,
    Clocks,
    claim_one,
    end_one,
    fail_one,
    ids,
    names,
    open_for_work,
)

pytestmark = pytest.mark.anyio

A = SessionId("a")
DAY_S = 86_400.0
KEEP_S = 30 * DAY_S


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def test_a_clock_that_leaps_by_years_prunes_nothing_at_once(path: Path) -> None:
    clocks = Clocks()
    queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.add(ids("a"))
    await end_one(queue, Outcome.STOPPED, 204)
    await queue.maintain(KEEP_S)
    clocks.jump(3 * 365 * DAY_S)
    for _ in range(3):
        clocks.advance(3600.0)
        await queue.maintain(KEEP_S)
    await queue.close()
    # Another process, as the next `once` of a timer, believes it no more.
    queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is not None
    clocks.jump(-3 * 365 * DAY_S)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is not None
    clocks.advance(KEEP_S + 1)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is None
    await queue.close()


async def test_a_clock_that_stays_where_it_leapt_to_is_believed_after_a_day(path: Path) -> None:
    """A machine that was off for long is no fault: old rows go, a day later."""
    clocks = Clocks()
    queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.add(ids("a"))
    await end_one(queue, Outcome.STOPPED, 204)
    await queue.maintain(KEEP_S)
    clocks.jump(KEEP_S + DAY_S)
    await queue.maintain(KEEP_S)
    clocks.advance(DAY_S - 1)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is not None
    clocks.advance(2)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is None
    await queue.close()


@pytest.mark.parametrize("between_s", [60.0, DAY_S - 3600.0])
@pytest.mark.parametrize("is_other_process", [False, True])
async def test_a_second_leap_does_not_make_the_first_one_a_day_old(
    path: Path, is_other_process: bool, between_s: float
) -> None:
    clocks = Clocks()
    queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.add(ids("a"))
    await end_one(queue, Outcome.STOPPED, 204)
    await queue.maintain(KEEP_S)
    for leap_s in (1.2 * DAY_S, 3 * 365 * DAY_S):
        clocks.jump(leap_s)
        if is_other_process:
            await queue.close()
            queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
        await queue.maintain(KEEP_S)
        clocks.advance(between_s)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is not None
    clocks.advance(DAY_S)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is None
    await queue.close()


@pytest.mark.parametrize("boot", ['"boot": "another", "steady_at": 9e9, ', '"boot": "", "steady_at": 0, ', ""])
async def test_a_leap_of_an_earlier_boot_is_a_day_old_by_the_wall_clock(path: Path, boot: str) -> None:
    clocks = Clocks()
    queue, ledger = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.add(ids("a"))
    await end_one(queue, Outcome.STOPPED, 204)
    await queue.maintain(KEEP_S)
    at, doubted_at = clocks.wall(), clocks.wall() + 2 * DAY_S
    text = f'{{{boot}"at": {at!r}, "doubted_at": {doubted_at!r}}}'
    await ledger.thread.write(lambda c: write_setting(c, RETENTION, text))
    clocks.jump(KEEP_S + 2 * DAY_S)
    await queue.maintain(KEEP_S)
    assert await queue.show(A) is None
    await queue.close()


@pytest.mark.parametrize("at", ["NaN", "1" + "0" * 400, "true", '"x"', "-Infinity"])
async def test_what_it_kept_may_be_garbage(path: Path, at: str) -> None:
    clocks = Clocks()
    queue, ledger = await open_for_work(path, clocks.wall, clocks.monotonic)
    await ledger.thread.write(lambda c: write_setting(c, RETENTION, f'{{"at": {at}, "doubted_at": {at}}}'))
    await queue.maintain(KEEP_S)
    assert f'{{"at": {clocks.wall()!r}}}' == await ledger.thread.read(lambda c: read_setting(c, RETENTION))
    await queue.close()


async def test_processes_of_one_boot_share_the_steady_clock_and_another_boot_begins_anew(path: Path) -> None:
    clocks = Clocks()
    queue, ledger = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.add(ids("a", "b"))
    await claim_one(queue)
    clocks.jump(7200.0)
    other, others = await open_for_work(path, clocks.wall, clocks.monotonic)
    assert others.clock.steady() == ledger.clock.steady()
    assert names(await other.claim(5, lease_s=LEASE_S)) == ["b"]
    # The machine starts anew: the monotonic clock begins at zero, and no holder lives.
    await ledger.thread.write(lambda c: write_setting(c, STEADY, '{"boot": "another", "ahead_s": 5.0}'))
    for one in (ledger, others):
        one.locks.drop()
        await one.thread.stop()
    clocks.monotonic.now = 3.0
    queue, ledger = await open_for_work(path, clocks.wall, clocks.monotonic)
    assert ledger.clock.steady() == pytest.approx(clocks.wall.now)
    assert "another" not in str(await ledger.thread.read(lambda c: read_setting(c, STEADY)))
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["a", "b"]
    await queue.close()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"boot": 7}', '{"boot": "x", "ahead_s": "y", "at": "y"}'])
async def test_settings_that_cannot_be_read_are_written_anew(path: Path, text: str) -> None:
    queue, ledger = await open_for_work(path)
    for name in (STEADY, RETENTION):
        await ledger.thread.write(partial(write_setting, name=name, text=text))
    await queue.close()
    queue, _ = await open_for_work(path)
    await queue.add(ids("a"))
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]
    await queue.maintain(KEEP_S)
    await queue.close()


async def test_a_process_that_begins_after_the_clock_was_set_back_finds_the_waits(path: Path) -> None:
    clocks = Clocks()
    queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
    await queue.add(ids("a"))
    await fail_one(queue, after_s=30.0)
    await queue.close()
    clocks.jump(-3600.0)
    queue, _ = await open_for_work(path, clocks.wall, clocks.monotonic)
    assert (await queue.stats()).ready == 1
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]
    await queue.close()
