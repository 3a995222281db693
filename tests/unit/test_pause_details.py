"""A pause says what stands in its way now, not what began it."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from reaper.core.classify import Proven, ServerFault, Unauthorized
from reaper.core.gate import Gate
from reaper.core.model import Answered, Failed, Fault, Reply, SessionId
from reaper.worker.supervisor import MAX_DETAILS
from tests.support.worker import BAD, LIST, world

pytestmark = pytest.mark.anyio

REFUSED = Answered(401, b'{"error":"no"}', 0.1)
MISSING = Failed(Fault.NO_TOKEN, False, "the token file is empty", 0.0)


async def details_of(answer: Reply, lists: Sequence[Reply]) -> tuple[list[str], str]:
    """Run until each of the lists was read; return the details that were logged, and the last one of the pause."""

    async def answers(_: SessionId, __: int) -> Reply:
        return answer

    w = await world(8, answers, gives_up=False)
    left = [LIST, *lists]
    w.api.lists = lambda: left.pop(0) if len(left) > 1 else left[0]
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(60)
        (pause,) = w.worker.pauses()
        w.worker.drain()
    return w.journal.changed, pause.detail


async def test_a_token_file_that_is_emptied_in_a_pause_is_named() -> None:
    logged, last = await details_of(REFUSED, [REFUSED, MISSING])
    assert (logged, last) == (["the token file is empty"], "the token file is empty")


async def test_an_api_that_does_not_answer_at_all_any_more_is_named() -> None:
    refused = Failed(Fault.CONNECT, False, "the connection was refused", 0.1)
    logged, last = await details_of(BAD, [BAD, refused])
    assert last == "no answer (connect: the connection was refused)"
    assert logged == ["GET /api/sessions answered 502", last]


async def test_a_pause_whose_details_alternate_fills_no_log() -> None:
    several: list[Reply] = [Answered(500 + n % 11, b"", 0.1) for n in range(200)]
    logged, _ = await details_of(BAD, several)
    assert len(logged) == len(set(logged)) == MAX_DETAILS - 1


def test_a_pause_that_gets_another_detail_goes_on() -> None:
    gate = Gate(4)
    gate.observe_read(0.0, Proven(), jitter=0.5)
    gate.observe_read(1.0, Unauthorized(0), jitter=0.5)
    gate.observe_read(6.0, Unauthorized(None, error="the token file is empty"), jitter=0.5)
    gate.observe_read(7.0, ServerFault(503), jitter=0.5)
    first, second = gate.pauses(8.0)
    assert (first.since, first.detail) == (1.0, "the token file is empty")
    assert (second.since, second.detail) == (7.0, "GET /api/sessions answered 503")
