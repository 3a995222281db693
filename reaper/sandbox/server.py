"""The stand-in itself: routes, bearer check, faults, modes. Requests are judged on arrival, executed on answering."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reaper.sandbox import control
from reaper.sandbox.answers import Answer
from reaper.sandbox.delivery import Stamp, deliver
from reaper.sandbox.faults import MODES, SOUND, Behaviour, Delivery, Mode, Script, choose, parse_rates, parse_script
from reaper.sandbox.http_server import Connection, Request
from reaper.sandbox.latency import Latency, parse_latency
from reaper.sandbox.listing import ListFault, behave
from reaper.sandbox.recorder import Counters, Delete, Record, fingerprint
from reaper.sandbox.routes import NO_ROUTE, UNAUTHORIZED, Call, bearer, decoded, perform, which
from reaper.sandbox.seeded_random import chance
from reaper.sandbox.sessions import Account, Session, generate

DEFAULT_TOKEN = "archal_ws_sandbox"
_NO_ROUTE = Behaviour(answers=(NO_ROUTE,))
_UNAUTHORIZED = Behaviour(answers=(UNAUTHORIZED,))


@dataclass(frozen=True, slots=True)
class _Arrival:
    request: Request
    connection: Connection
    at: float
    call: Call
    session_id: str | None
    before: int
    """Earlier DELETEs of the same ID; of other calls, all requests before."""


class Sandbox:
    """A local stand-in for the API: `async with Sandbox(100) as sandbox:`, then `sandbox.url`, `sandbox.token`.

    All methods belong to the thread of its event loop; from another one, use `reaper.sandbox.thread`.
    """

    def __init__(
        self,
        sessions: int | Iterable[Session] = 0,
        *,
        token: str = DEFAULT_TOKEN,
        seed: int = 0,
        latency: str | Latency = "0",
        fail: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        log_path: Path | None = None,
        remember: bool = True,
        skew_s: float = 0.0,
        user_id: str | None = "usr_sandbox",
    ) -> None:
        """`sessions`: how many to generate, or the sessions; `skew_s`: how far its clock is ahead.

        `user_id`: whose the token is; None: there is no `GET /auth/me`. What is public here may be changed at any time.

        `remember` false keeps no list of DELETEs in memory. Raises ValueError for a bad `latency` or `fail`.
        """
        self.latency = parse_latency(latency) if isinstance(latency, str) else latency
        self.rates = parse_rates(fail)
        self.sessions = Account(generate(sessions, seed) if isinstance(sessions, int) else sessions, seed)
        self.token, self.user_id, self.stamp = token, user_id, Stamp(skew_s)
        self.list_fault: ListFault | None = None
        self.after_list: Callable[[Sandbox], None] | None = None
        """Called once each list is answered: what happens between a list and what the client makes of it."""
        self.mode, self.deletes_only = Mode.OK, False
        self._seed, self._host, self._port, self._ssl = seed, host, port, ssl_context
        self._record = Record(log_path, remember=remember)
        self._scripts: dict[str, Script] = {}
        self._held: list[_Arrival] = []
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    # --- life ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            await self.up()
        except BaseException:
            self._record.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.down()
        self._closed = True
        self._record.close()

    async def up(self) -> None:
        """Listen; after `down`, on the same port as before. Raises OSError when the port is taken."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._handle, self._made, self._connections.discard),
                self._host,
                self._port,
                ssl=self._ssl,
                backlog=4096,
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and reset those there are, until `up`."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            for connection in list(self._connections):
                connection.reset()
            await server.wait_closed()
            await self.until(lambda _: not self._connections)

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl else 'http'}://{host}:{self._port}"

    @property
    def skew_s(self) -> float:
        """How far its clock is ahead of this machine's, in seconds."""
        return self.stamp.skew_s

    @skew_s.setter
    def skew_s(self, skew_s: float) -> None:
        self.stamp.skew_s = skew_s

    # --- what it saw --------------------------------------------------------------------------------------------

    @property
    def deletes(self) -> list[Delete]:
        """Every DELETE whose fate is sealed, in that order."""
        return self._record.deletes

    @property
    def sends(self) -> dict[str, int]:
        """DELETEs that have arrived, by session ID."""
        return self._record.sends

    @property
    def counters(self) -> Counters:
        return self._record.counters

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def stopped(self) -> list[str]:
        """The IDs of sessions that a DELETE stopped, in order."""
        return [delete.session_id for delete in self.deletes if delete.executed and delete.session_id is not None]

    async def until(self, holds: Callable[[Self], bool], timeout_s: float = 10.0) -> None:
        """Wait until `holds(self)`; raises TimeoutError when it does not within `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not holds(self):  # noqa: ASYNC110 - `holds` is anything; nothing tells when it changes
                await asyncio.sleep(0.002)

    # --- what it does -------------------------------------------------------------------------------------------

    def set_mode(self, mode: Mode | str, *, deletes_only: bool = False) -> None:
        """Change what the server does, for DELETEs alone or for everything; requests kept by `pause` go on."""
        self.mode, self.deletes_only = Mode(mode), deletes_only
        held, self._held = self._held, []
        for arrival in held:
            self._admit(arrival)

    def set_latency(self, latency: str) -> None:
        self.latency = parse_latency(latency)

    def set_fail(self, fail: str) -> None:
        self.rates = parse_rates(fail)

    def script(self, session_id: str, *behaviours: str | Behaviour) -> None:
        """Set what the next DELETEs of one session meet, before any rate; end with "forever" to repeat the last."""
        self._scripts[session_id] = parse_script(behaviours)

    def set_list(self, fault: str | None) -> None:
        """Set what is wrong with the list from now on; None: nothing."""
        self.list_fault = None if fault is None else ListFault(fault)

    def renew(self, session_id: str, for_s: float) -> None:
        """Have a session expire so long from now, on the server's clock; less than 0: it has. Raises KeyError."""
        self.sessions.renew(session_id, self.stamp.now() + for_s)

    def become(self, user_id: str | None, sessions: Iterable[Session] = ()) -> None:
        """Be another account with the same token; nothing is left of the sessions of the one before."""
        self.user_id, self.sessions = user_id, Account(sessions, self._seed)

    # --- one request --------------------------------------------------------------------------------------------

    def _made(self, connection: Connection) -> None:
        self._connections.add(connection)
        self.counters.connections += 1

    def _handle(self, request: Request, connection: Connection) -> None:
        if request.target == control.PATH:
            answer = control.answer(self, request, local=connection.local)
            self._count(answer)
            connection.answer(self.stamp.encode(answer, close=request.close), close=request.close)
            return
        counters, session_id = self.counters, decoded(request.target)
        call, before = which(request, session_id), counters.requests
        counters.requests += 1
        match call:
            case Call.STOP:
                before = self._record.arrived(session_id)
                connection.when_over(self._record.left)
            case Call.LIST:
                counters.lists += 1
            case Call.GET:
                counters.gets += 1
            case Call.CREATE:
                counters.creates += 1
            case Call.OTHER:
                counters.others += 1
            case Call.ME:
                pass
        self._admit(_Arrival(request, connection, time.time(), call, session_id, before))

    def _admit(self, arrival: _Arrival) -> None:
        affected = not self.deletes_only or arrival.call is Call.STOP
        if affected and self.mode is Mode.PAUSE:
            self._held.append(arrival)
            return
        behaviour = MODES[self.mode] if affected and self.mode is not Mode.OK else self._judge(arrival)
        delay_s = behaviour.extra_s + self._latency_s(arrival.request.target, arrival.before)
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._conclude, arrival, behaviour)
        else:
            self._conclude(arrival, behaviour)

    def _judge(self, arrival: _Arrival) -> Behaviour:
        if bearer(arrival.request) != self.token:
            self.counters.unauthorized += 1
            return _UNAUTHORIZED
        if arrival.call is Call.LIST and self.list_fault is not None:
            return behave(self.list_fault, self.sessions)
        if arrival.call is not Call.STOP:
            return SOUND
        if arrival.session_id is None:
            return _NO_ROUTE
        script = self._scripts.get(arrival.session_id)
        scripted = script.take() if script is not None else None
        if scripted is not None or not self.rates:
            return scripted or SOUND
        return choose(self.rates, chance(self._seed, "fault", arrival.session_id, arrival.before))

    def _latency_s(self, target: str, before: int) -> float:
        latency = self.latency
        return latency.low_s if latency.fixed else latency.at(chance(self._seed, "latency", target, before))

    def _conclude(self, arrival: _Arrival, behaviour: Behaviour) -> None:
        # A client that has hung up meanwhile does not undo its request: as with the real one, the stop takes place.
        if self._closed:
            return
        answer, executed = (
            behaviour.answers[arrival.before % len(behaviour.answers)] if behaviour.answers else None,
            False,
        )
        if behaviour.executes:
            ordinary, executed = perform(
                arrival.call, arrival.request, arrival.session_id, self.sessions, self.user_id, self.stamp.now()
            )
            answer = answer or ordinary
        if arrival.call is Call.STOP:
            self._note(arrival, behaviour, answer, executed)
        if answer is not None and behaviour.delivery is Delivery.WHOLE:
            self._count(answer)
        deliver(arrival.connection, behaviour, answer, self.stamp, close=arrival.request.close)
        if arrival.call is Call.LIST and self.after_list is not None:
            self.after_list(self)

    def _note(self, arrival: _Arrival, behaviour: Behaviour, answer: Answer | None, executed: bool) -> None:
        token, whole = bearer(arrival.request), behaviour.delivery is Delivery.WHOLE
        self._record.add(
            Delete(
                at=arrival.at,
                session_id=arrival.session_id,
                path=arrival.request.target,
                status=answer.status if answer is not None and whole else None,
                fault=behaviour.name,
                executed=executed,
                token=fingerprint(token) if token else None,
                delivered=arrival.connection.open,
            )
        )

    def _count(self, answer: Answer) -> None:
        statuses = self.counters.statuses
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
