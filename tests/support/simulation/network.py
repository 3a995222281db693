"""The network between reapers and the API: connections whose bytes come late, in pieces, broken, or not at all.

The server's side parses HTTP/1.1 by itself; the client's side is reaper's own transport, on the transports here.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from tests.support.simulation.api_model import Answer, ApiModel
from tests.support.simulation.loop import PROCESS, Process, VirtualLoop
from tests.support.simulation.plan import Fault
from tests.support.simulation.virtual_time import CLOCK

ADDRESS = ("10.0.0.1", 80)
REACTS_WITHIN_S = 0.001
"""What a process sends in the turn of its loop in which it reads a 429 was decided before."""
REPEATS_WITHIN_S = 5.0
"""`api.timeout_s` of the simulation: the deadline of one send, repetitions included."""
_WORLD = contextvars.Context()
"""What the world does belongs to no process."""


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
        self.busiest: dict[str, int] = {}
        """The most DELETEs that a process had under way at once."""
        self.faults: dict[str, int] = {}
        self.silent_until: dict[str, float] = {}
        """Until when each process was asked by a 429 to send nothing."""
        self.on_broken: Callable[[str], None] = lambda sentence: None
        self.on_delete: Callable[[Process, str], None] = lambda process, session_id: None
        """Called with each DELETE that is none of the client's own repetitions, before it is answered."""
        self.on_written: Callable[[Process], None] = lambda process: None
        """Called when a DELETE was written, whatever becomes of it."""
        self.is_pinned = False
        """The queue keeps the address of the API: from then on nothing may go to another one."""
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

    def under_way(self) -> set[str]:
        """Return the IDs whose DELETE was written and is not answered."""
        return {one.deletes for one in self.open if one.deletes}

    def note_unanswered(self, request: str) -> None:
        """Note that a connection ended without the answer to a request."""
        self._unanswered[request] = CLOCK.elapsed_s


class Link(asyncio.Transport):
    """The client's end of one connection, and the server behind it."""

    def __init__(self, network: Network, loop: VirtualLoop, protocol: asyncio.Protocol, process: Process) -> None:
        super().__init__({"peername": ADDRESS})
        self._network, self._loop, self._protocol, self.process = network, loop, protocol, process
        self._context = process.context.copy()
        self._closing = self._is_gone = False
        self._unread = b""
        self.deletes = ""
        """The ID whose DELETE is under way."""
        self._asks = ""
        """Method and path of the request that is under way."""
        self._unfinished = 0
        """Requests, of any method, whose answer was not handed over to its end."""
        process.on_death.append(self._die)
        if network.met("closed_idle"):
            self._later(self._network.chance.uniform(0.1, 20), self._close_if_idle)
        if network.met("unasked"):
            self._later(self._network.chance.uniform(0, 3), self._speak_unasked)

    # --- what the client's protocol uses ----------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol  # type: ignore[assignment]

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write(self, data: Any) -> None:
        if self._closing:
            return
        self._unread += bytes(data)
        while b"\r\n\r\n" in self._unread:
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            self._take(head.decode("latin-1"))

    def close(self) -> None:
        self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    # --- the server -------------------------------------------------------------------------------------------------

    def _take(self, head: str) -> None:
        lines = head.split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        token = headers["authorization"].removeprefix("Bearer ")
        self._unfinished += 1
        network, name = self._network, self.process.name
        self._asks = f"{method} {path}"
        is_repeated = network.is_repeated(self._asks)
        if "/sessions/" in path and not is_repeated:
            network.judge_silence(self.process)
        if method == "DELETE":
            self.deletes = path.rsplit("/", 1)[1]
            network.sent.append((CLOCK.elapsed_s, name, self.deletes))
            network.count(self, self.deletes)
            if not is_repeated:
                network.on_delete(self.process, self.deletes)
            network.on_written(self.process)
        on_the_way_s = 0.001 + 0.01 * network.chance.random()
        if network.met("lost_request"):
            self._later(on_the_way_s, self._reset)
            return
        slow = network.active("slow")
        if slow:
            network.faults["slow"] = network.faults.get("slow", 0) + 1
        work_s = network.latency * (0.005 + 0.1 * network.chance.random() ** 2) + (
            slow.share * network.chance.random() if slow else 0.0
        )

        failing = network.active("list_500") if path == "/api/sessions" else None
        if failing is not None:  # at once, or after a time as its measure says
            work_s += max(0.0, failing.share - 1.0)

        def work() -> None:
            answer = network.api.answer(name, method, path, token)
            if not self._is_gone:
                self._deliver(answer)

        self._later(on_the_way_s + work_s, work)

    def _deliver(self, answer: Answer) -> None:
        chance, data = self._network.chance, answer.encode(self._network.api.date())
        if self._network.met("lost_answer"):
            self._later(0.01, self._reset)
        elif self._network.met("half_answer"):
            self._hand_over(data[: chance.randrange(1, len(data))])
            self._later(0.05, self._reset if chance.random() < 0.5 else self._end)
        elif self._network.met("drip"):
            step = max(1, len(data) // 20)
            for n, at in enumerate(range(0, len(data), step)):
                piece, is_last = data[at : at + step], at + step >= len(data)
                self._later(n * 0.5, partial(self._hand_over, piece, is_last=is_last))
        else:
            self._later(0.001 + 0.01 * chance.random(), partial(self._hand_over, data, answer.silence_s, is_last=True))

    def _hand_over(self, data: bytes, silence_s: float = 0.0, *, is_last: bool = False) -> None:
        if self._is_gone:
            return
        self.deletes = self._asks = ""
        self._unfinished -= is_last
        self._to_client(self._protocol.data_received, data)
        if silence_s and not self.process.is_stopped:
            until = self._network.silent_until
            name = self.process.name
            later = CLOCK.elapsed_s + silence_s
            self._later(REACTS_WITHIN_S, lambda: until.update({name: max(later, until.get(name, 0.0))}))

    def _close_if_idle(self) -> None:
        if not self._unfinished:
            self._end()

    def _speak_unasked(self) -> None:
        if not self._unfinished and not self._is_gone:
            self._to_client(self._protocol.data_received, b"HTTP/1.1 204 No Content\r\n\r\n")

    def _end(self) -> None:
        self._lose(None)

    def _reset(self) -> None:
        self._lose(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def _die(self) -> None:
        self._closing = self._is_gone = True
        self._network.open.discard(self)

    def _lose(self, error: Exception | None) -> None:
        if self._is_gone:
            return
        self._closing = self._is_gone = True
        if self._asks:
            self._network.note_unanswered(self._asks)
        self.deletes = self._asks = ""
        self._network.open.discard(self)
        self.process.on_death.remove(self._die)
        self._to_client(self._protocol.connection_lost, error)

    def _to_client(self, call: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(call, *args, context=self._context)

    def _later(self, wait_s: float, call: Callable[[], object]) -> None:
        self._loop.call_later(wait_s, call, context=_WORLD)
