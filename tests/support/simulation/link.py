"""One connection between a reaper and the API: its client's end, and the server that answers behind it.

The server's side parses HTTP/1.1 by itself; the client's side is reaper's own transport.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from reaper.api.http.receiver import BUFFER_BYTES, Receiver
from tests.support.simulation.api_model import Answer
from tests.support.simulation.loop import Process, VirtualLoop
from tests.support.simulation.virtual_time import CLOCK

if TYPE_CHECKING:
    from tests.support.simulation.network import Network

ADDRESS = ("10.0.0.1", 80)
REACTS_WITHIN_S = 0.001
"""What a process sends in the turn of its loop in which it reads a 429 was decided before."""
REPEATS_WITHIN_S = 5.0
"""`api.timeout_s` of the simulation: the deadline of one send, repetitions included."""
_WORLD = contextvars.Context()
"""What the world does belongs to no process."""


class Link(asyncio.Transport):
    """The client's end of one connection, and the server behind it."""

    def __init__(self, network: Network, loop: VirtualLoop, protocol: asyncio.BaseProtocol, process: Process) -> None:
        super().__init__({"peername": ADDRESS})
        self._network, self._loop, self._protocol, self.process = network, loop, protocol, process
        self._context = process.context.copy()
        self._closing = self._is_gone = False
        self._unread = b""
        self.deletes = ""
        """The ID whose DELETE is under way."""
        self._asks = ""
        """Method and path of the request that is under way."""
        self._answers = ""
        """The ID whose DELETE has no whole answer yet."""
        self._written_s = 0.0
        self._unfinished = 0
        """Requests, of any method, whose answer was not handed over to its end."""
        process.on_death.append(self._die)
        if network.met("closed_idle"):
            self._later(self._network.chance.uniform(0.1, 20), self._close_if_idle)
        if network.met("unasked"):
            self._later(self._network.chance.uniform(0, 3), self._speak_unasked)

    # --- what the client's protocol uses ----------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

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
        if self.deletes and not self._is_gone:
            self._network.on_given_up(self.process, self.deletes, CLOCK.elapsed_s - self._written_s)
        self._lose(None)

    abort = close

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
        if "/sessions/" in path and method == "GET":
            network.checked.append((CLOCK.elapsed_s, name, path.rsplit("/", 1)[1]))
        if method == "DELETE":
            self.deletes = self._answers = path.rsplit("/", 1)[1]
            self._written_s = CLOCK.elapsed_s
            network.sent.append((CLOCK.elapsed_s, name, self.deletes))
            network.count(self, self.deletes)
            if not is_repeated:
                network.on_delete(self.process, self.deletes)
            network.on_written(self.process)
            network.note_delete()
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
            wait_s = 0.001 + 0.01 * chance.random()
            stopped = self.deletes if answer.status == 204 else ""
            self._later(wait_s, partial(self._hand_over, data, answer.silence_s, is_last=True, stopped=stopped))

    def _hand_over(self, data: bytes, silence_s: float = 0.0, *, is_last: bool = False, stopped: str = "") -> None:
        if self._is_gone:
            return
        if stopped and not self.process.is_stopped:
            self._network.stopped[stopped] = self.process, CLOCK.elapsed_s
        self.deletes = self._asks = ""
        self._unfinished -= is_last
        if is_last:
            self._note_end()
        self._to_client(self._fill, data)
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
            self._to_client(self._fill, b"HTTP/1.1 204 No Content\r\n\r\n")

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
        self._note_end()
        self.deletes = self._asks = ""
        self._network.open.discard(self)
        self.process.on_death.remove(self._die)
        self._to_client(self._protocol.connection_lost, error)

    def _note_end(self) -> None:
        """Note that the answer to a DELETE ended, or that nobody waits for it any more."""
        if self._answers and CLOCK.elapsed_s > self._written_s + REPEATS_WITHIN_S:
            self._network.on_late(self.process, self._answers, CLOCK.elapsed_s - self._written_s)
        self._answers = ""

    def _fill(self, data: bytes) -> None:
        """Hand bytes over as an event loop does: through the buffer of the protocol."""
        assert isinstance(self._protocol, Receiver)
        for at in range(0, len(data), BUFFER_BYTES):
            if self._closing:
                return
            part = data[at : at + BUFFER_BYTES]
            self._protocol.get_buffer(-1)[: len(part)] = part
            self._protocol.buffer_updated(len(part))

    def _to_client(self, call: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(call, *args, context=self._context)

    def _later(self, wait_s: float, call: Callable[[], object]) -> None:
        self._loop.call_later(wait_s, call, context=_WORLD)
