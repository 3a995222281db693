"""The acts of the web page: a POST with a person's token does what a verb of the command line does, and is recorded.

An act is refused while another one runs, and when it would touch another number of IDs than its person was shown. It is
written into the queue's record before it changes anything, so that nothing is changed without a name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import anyio

from reaper.app.console.orders import ORDERS, Order, Terms
from reaper.app.console.tokens import AdminTokens, Stranger
from reaper.core.acts import KEY, Act, with_act
from reaper.core.errors import (
    ConfigError,
    QueueError,
    QueueUnavailableError,
    ReaperError,
    RefusedError,
    UsageError,
)
from reaper.core.every import every
from reaper.core.model import SessionId
from reaper.core.text import json_value
from reaper.queues.base import Queue
from reaper.queues.chosen_ids import ChosenIds
from reaper.telemetry import events, logs
from reaper.telemetry.http.request import Request
from reaper.telemetry.http.response import Page, as_json

MAX_UNCOUNTED = 20
"""IDs that an act may touch without saying how many."""
MAX_CHOSEN = 100_000
BATCH_SIZE = 500
LOG_S = 60.0
"""What anybody who reaches the listener can cause is logged so often at most."""


class _Conflict(Exception):
    """The number of IDs that an act would touch is not the one that it came with."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class Acts:
    """Carries out acts. `done` is called after each, whatever came of it."""

    def __init__(self, queue: Queue, done: Callable[[], object], now: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._done = queue, done
        self._tokens = AdminTokens(now)
        self._busy = anyio.Lock()
        self._file_fault = ""
        """The sentence about the file that was logged last."""
        self._refusals = 0
        self._may_log_refusals, self._may_log_file = every(LOG_S, now), every(LOG_S, now)

    async def answer(self, request: Request, file: Path) -> Page:
        """Carry out one act and return its result; `file` has the tokens."""
        try:
            person = self._tokens.person(file, request.headers.get("authorization"))
        except ConfigError as error:
            if self._may_log_file() or str(error) != self._file_fault:
                self._file_fault = str(error)
                logs.get().warning(events.LISTENER_FAILED, page=request.path, detail=str(error))
            return _refused(
                503, "the file of telemetry.admin_token_file cannot be used now; the log and reaper check say why"
            )
        if isinstance(person, Stranger):
            self._log_refusal(person)
            return _stranger(person)
        try:
            self._busy.acquire_nowait()
        except anyio.WouldBlock:
            return _refused(503, "another act is under way; wait until it is done")
        try:
            return as_json(await self._act(ORDERS[request.path.rpartition("/")[2]], person, request))
        except _Conflict as conflict:
            words = f"this touches {conflict.count:,}; look again, and send the number as count"
            return as_json({"error": words, "count": conflict.count}, 409)
        except RefusedError as error:
            return _refused(409, str(error))
        except (UsageError, ValueError) as error:
            return _refused(400, str(error))
        except QueueUnavailableError as error:
            return _refused(503, f"{error}; repeat the act when the queue is back: it does what is left")
        except QueueError as error:
            return _refused(503, str(error))
        except ReaperError as error:
            return _refused(500, str(error))
        finally:
            self._busy.release()
            self._done()

    def _log_refusal(self, stranger: Stranger) -> None:
        self._refusals += 1
        if self._may_log_refusals():
            logs.get().warning(events.OPERATOR_REFUSED, count=self._refusals, detail=stranger.reason)
            self._refusals = 0

    async def _act(self, order: Order, person: str, request: Request) -> Mapping[str, object]:
        token = (request.headers.get("authorization") or "").partition(" ")[2].strip()
        if token.encode() in request.body:
            raise UsageError("the token belongs into the header alone; it stands in the body, too")
        body = json_value(request.body)
        if not isinstance(body, dict):
            raise UsageError("the body is one JSON object")
        terms = Terms.of(order, body)
        if order.choose is None:
            count, what = await order.count(self._queue, terms)
            _check_count(terms, count)
            if terms.dry_run:
                return {"act": order.name, "chosen": count, "dry_run": True}
            await self._record(order, person, terms, count, what)
            return {"act": order.name, "by": person, **await order.carry_out(self._queue, terms, person)}
        with closing(ChosenIds()) as chosen:
            await self._choose(order, terms, chosen)
            count = len(chosen)
            _check_count(terms, count)
            if terms.dry_run or not count:
                return {"act": order.name, "chosen": count, "changed": 0, "dry_run": terms.dry_run}
            await self._record(order, person, terms, count, terms.what)
            changed = 0
            for batch in chosen.batches(BATCH_SIZE):
                changed += await order.change(self._queue, batch, terms, person)
        return {"act": order.name, "by": person, "chosen": count, "changed": changed}

    async def _choose(self, order: Order, terms: Terms, chosen: ChosenIds) -> None:
        assert order.choose is not None, "an order that chooses"
        page: list[SessionId] = []
        async for session_id in order.choose(self._queue, terms):
            page.append(session_id)
            if len(page) == BATCH_SIZE:
                chosen.add(page)
                page.clear()
            if len(chosen) + len(page) > MAX_CHOSEN:
                raise UsageError(f"an act here takes at most {MAX_CHOSEN:,} IDs; for more: reaper {order.command}")
        chosen.add(page)

    async def _record(self, order: Order, person: str, terms: Terms, count: int, what: str) -> None:
        act = Act(self._queue.now(), person, order.name, count, what, terms.reason)
        while True:
            text = await self._queue.read_value(KEY)
            if await self._queue.compare_and_set(KEY, with_act(text, act), was=text):
                break
        logs.get().info(events.OPERATOR_ACTED, by=person, act=order.name, count=count, detail=terms.reason or None)


def _check_count(terms: Terms, count: int) -> None:
    if not terms.dry_run and terms.count != count and (terms.count is not None or count > MAX_UNCOUNTED):
        raise _Conflict(count)


def _stranger(stranger: Stranger) -> Page:
    more: Sequence[tuple[str, str]] = [("WWW-Authenticate", 'Bearer realm="reaper"')] if stranger.status == 401 else []
    if stranger.wait_s:
        more = [("Retry-After", f"{stranger.wait_s + 1:.0f}")]
    return as_json({"error": stranger.reason}, stranger.status, *more)


def _refused(status: int, words: str) -> Page:
    return as_json({"error": words}, status)
