"""The network between reapers and the API: connections whose bytes come late, in pieces, broken, or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.simulation.api_model import ApiModel
from tests.support.simulation.link import ADDRESS, REPEATS_WITHIN_S, Link
from tests.support.simulation.loop import PROCESS, Process, VirtualLoop
from tests.support.simulation.plan import Fault
from tests.support.simulation.virtual_time import CLOCK

OVERSLEPT_S = 10.0
"""A process that was stopped sends so long after what it claimed before: the clock of its host may have stood still."""


class Network:
    """Opens connections, and knows what is under way on them."""

    def __init__(
        self,
        loop: VirtualLoop,
        api: ApiModel,
        chance: Random,
        active: Callable[[str], Fault | None],
        latency: float,
    ) -> None:
        self._loop, self.api, self.chance, self.active = loop, api, chance, active
        self.latency = latency
        self.open: set[Link] = set()
        self.sent: list[tuple[float, str, str]] = []
        """Each DELETE that was written: when, by which process, for which ID."""
        self.checked: list[tuple[float, str, str]] = []
        """The same of the checks before DELETEs."""
        self.busiest: dict[str, int] = {}
        """The most DELETEs that a process had under way at once."""
        self.faults: dict[str, int] = {}
        self.silent_until: dict[str, float] = {}
        """Until when each process was asked by a 429 to send nothing."""
        self.on_broken: Callable[[str], None] = lambda sentence: None
        self.on_delete: Callable[[Process, str], None] = lambda process, session_id: None
        """Called with each DELETE that is none of the client's own repetitions, before it is answered."""
        self.on_given_up: Callable[[Process, str, float], None] = lambda process, session_id, after_s: None
        """Called when a process closes a connection on which it waits for the answer to a DELETE."""
        self.on_late: Callable[[Process, str, float], None] = lambda process, session_id, after_s: None
        """Called when it waited longer than `REPEATS_WITHIN_S` for the end of an answer to a DELETE."""
        self.stopped: dict[str, tuple[Process, float]] = {}
        """The process that read the answer 204 to the DELETE of an ID, and when."""
        self.on_written: Callable[[Process], None] = lambda process: None
        """Called when a DELETE was written, whatever becomes of it."""
        self.is_pinned = False
        """The queue keeps the address of the API: from then on nothing may go to another one."""
        self._awaited: list[asyncio.Future[None]] = []
        self._unanswered: dict[str, float] = {}
        """When a connection ended last without an answer to a request, by its method and path."""

    def met(self, kind: str) -> Fault | None:
        """Return the fault of a kind if it holds now and falls on this request."""
        fault = self.active(kind)
        if fault is None or self.chance.random() >= fault.share:
            return None
        self.faults[kind] = self.faults.get(kind, 0) + 1
        return fault

    async def reach(self, addresses: list[Any]) -> Any:
        """Connect to the API, in place of `connect_first`."""
        if addresses[0][4][:2] != ADDRESS:
            if self.is_pinned:
                self.on_broken(f"a connection to {addresses[0][4][0]}, which is not the address that the queue keeps")
            raise OSError(errno.EHOSTUNREACH, f"a connection to {addresses[0][4]}, which no setting names")
        await asyncio.sleep(0.001 + 0.004 * self.chance.random())
        if self.met("black_hole"):
            await asyncio.sleep(3600)
        if self.met("refused"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return self

    async def connect(self, _: Any, factory: Callable[[], asyncio.Protocol]) -> tuple[Link, asyncio.Protocol]:
        protocol = factory()
        process = PROCESS.get()
        assert process is not None
        link = Link(self, self._loop, protocol, process)
        self.open.add(link)
        protocol.connection_made(link)
        return link, protocol

    def count(self, link: Link, session_id: str) -> None:
        """Judge a DELETE that is written: the bound, and that nobody else sends the same."""
        process = link.process
        under_way = sum(1 for one in self.open if one.process is process and one.deletes)
        self.busiest[process.name] = max(self.busiest.get(process.name, 0), under_way)
        for other in self.open:
            if other.process is not process and process.went_on_s > CLOCK.elapsed_s - OVERSLEPT_S:
                continue
            if other.deletes == session_id and other is not link and not other.process.was_stopped:
                who = "it" if other.process is process else other.process.name
                self.on_broken(f"{process.name} sends a DELETE of {session_id} while {who} waits for the answer to one")

    def is_repeated(self, request: str) -> bool:
        """Tell whether a request is the same send: where a connection went stale, the client writes it once more."""
        return self._unanswered.pop(request, -REPEATS_WITHIN_S) > CLOCK.elapsed_s - REPEATS_WITHIN_S

    def judge_silence(self, process: Process) -> None:
        """Judge a DELETE, or the check before it, by the silence that the last 429 asked for."""
        if CLOCK.elapsed_s < self.silent_until.get(process.name, 0.0):
            self.on_broken(f"{process.name} sends before the end of the silence that a 429 asked for")

    async def next_delete(self) -> None:
        """Wait until the next DELETE is written."""
        sent = self._loop.create_future()
        self._awaited.append(sent)
        await sent

    def note_delete(self) -> None:
        """Tell those who wait for a DELETE that one was written."""
        awaited, self._awaited = self._awaited, []
        for sent in awaited:
            if not sent.done():
                sent.set_result(None)

    def under_way(self) -> set[str]:
        """Return the IDs whose DELETE was written and is not answered."""
        return {one.deletes for one in self.open if one.deletes}

    def note_unanswered(self, request: str) -> None:
        """Note that a connection ended without the answer to a request."""
        self._unanswered[request] = CLOCK.elapsed_s
