"""The sandbox: routes, bearer check, faults, modes. A request gets its fault on arrival, its effect when answered."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

from reaper.sandbox import control
from reaper.sandbox.answers import Answer
from reaper.sandbox.delivery import Stamp, deliver
from reaper.sandbox.faults import MODES, SOUND, Behaviour, Delivery, Mode, Script, choose, parse_rates, parse_script
from reaper.sandbox.http_server import Connection, Request
from reaper.sandbox.latency import Latency, parse_latency
from reaper.sandbox.listing import ListFault, list_behaviour
from reaper.sandbox.recorder import Counters, Delete, Recorder, fingerprint
from reaper.sandbox.routes import NO_ROUTE, UNAUTHORIZED, Call, bearer, call_of, decoded, perform
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
    """Number of earlier DELETEs of the same ID; for other calls, of all earlier requests."""


class Sandbox:
    """A local stand-in for the API: `async with Sandbox(100) as sandbox:`, then `sandbox.url`, `sandbox.token`.

    All methods belong to the thread of its event loop; no other one may call them.
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
        """Set up the sandbox; entering it starts to listen. Public attributes may be changed at any time.

        `sessions`: the sessions, or the number to generate; `port` 0: any free port; `remember`: keep `deletes`;
        `skew_s`: how far its clock is ahead; `user_id`: the user of the token, None: `GET /auth/me` answers 404.
        Raises ValueError, a sentence for the operator, for a wrong value.
        """
        if not 0 <= port <= 65_535:
            raise ValueError(f"port {port} is not between 0 and 65535")
        if not token:
            raise ValueError("the token must not be empty")
        if isinstance(sessions, int) and sessions < 0:
            raise ValueError("the number of sessions must not be negative")
        self.latency = parse_latency(latency) if isinstance(latency, str) else latency
        self.rates = parse_rates(fail)
        self.sessions = Account(generate(sessions, seed) if isinstance(sessions, int) else sessions, seed)
        self.token, self.user_id, self.stamp = token, user_id, Stamp(skew_s)
        self.list_fault: ListFault | None = None
        self.after_list: Callable[[Sandbox], None] | None = None
        """Called after each answer to a list, so that a test can change sessions before the client acts on it."""
        self.mode, self.deletes_only = Mode.OK, False
        self._seed, self._host, self._port, self._ssl = seed, host, port, ssl_context
        self._recorder = Recorder(log_path, remember=remember)
        self.deletes: list[Delete] = self._recorder.deletes
        """Every DELETE whose effect is decided, in that order."""
        self.sends: dict[str, int] = self._recorder.sends
        """The number of DELETEs that have arrived, by session ID."""
        self.counters: Counters = self._recorder.counters
        self._scripts: dict[str, Script] = {}
        self._paused: list[_Arrival] = []
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    # --- start and stop -----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError when the port is taken or the log cannot be written."""
        self._recorder.open()
        try:
            await self.up()
        except BaseException:
            self._recorder.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.down()
        self._closed = True
        self._recorder.close()

    async def up(self) -> None:
        """Listen; after `down`, on the same port as before. Raises OSError when the port is taken."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._handle, self._opened, self._connections.discard),
                self._host,
                self._port,
                ssl=self._ssl,
                backlog=4096,
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and reset the open ones, until `up`."""
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

    # --- observing ----------------------------------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    async def until(self, condition: Callable[[Self], bool], timeout_s: float = 10.0) -> None:
        """Wait until `condition(self)` is true. Raises TimeoutError after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):  # noqa: ASYNC110 - nothing signals a change of an arbitrary condition
                await asyncio.sleep(0.002)

    # --- controlling --------------------------------------------------------------------------------------------

    def set_mode(self, mode: Mode | str, *, deletes_only: bool = False) -> None:
        """Change the mode of the server, for DELETEs alone or for all requests. Requests paused by `pause` continue."""
        self.mode, self.deletes_only = Mode(mode), deletes_only
        paused, self._paused = self._paused, []
        for arrival in paused:
            self._admit(arrival)

    def script(self, session_id: str, *behaviours: str | Behaviour) -> None:
        """Set the behaviours of the next DELETEs of one session; rates come after them. See `parse_script`."""
        self._scripts[session_id] = parse_script(behaviours)

    def set_list(self, fault: str | None) -> None:
        """Set the fault of the list; None: no fault."""
        self.list_fault = None if fault is None else ListFault(fault)

    def renew(self, session_id: str, for_s: float) -> None:
        """Let a session expire in `for_s` seconds on the server's clock; below 0, it has expired. Raises KeyError."""
        self.sessions.renew(session_id, self.stamp.now() + for_s)

    # --- one request --------------------------------------------------------------------------------------------

    def _opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        self.counters.connections += 1

    def _handle(self, request: Request, connection: Connection) -> None:
        if request.target == control.PATH:
            answer = control.answer(self, request, local=connection.local)
            self._count(answer)
            connection.answer(self.stamp.encode(answer, close=request.close), close=request.close)
            return
        counters, session_id = self.counters, decoded(request.target)
        call, before = call_of(request, session_id), counters.requests
        counters.requests += 1
        match call:
            case Call.STOP:
                before = self._recorder.delete_arrived(session_id)
                connection.on_finished(self._recorder.delete_finished)
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
            self._paused.append(arrival)
            return
        behaviour = MODES[self.mode] if affected and self.mode is not Mode.OK else self._behaviour(arrival)
        delay_s = behaviour.extra_s + self._latency_s(arrival.request.target, arrival.before)
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._answer, arrival, behaviour)
        else:
            self._answer(arrival, behaviour)

    def _behaviour(self, arrival: _Arrival) -> Behaviour:
        if bearer(arrival.request) != self.token:
            self.counters.unauthorized += 1
            return _UNAUTHORIZED
        if arrival.call is Call.LIST and self.list_fault is not None:
            return list_behaviour(self.list_fault, self.sessions)
        if arrival.call is not Call.STOP:
            return SOUND
        if arrival.session_id is None:
            return _NO_ROUTE
        script = self._scripts.get(arrival.session_id)
        scripted = script.take() if script is not None else None
        if scripted is not None or not self.rates:
            return scripted or SOUND
        return choose(self.rates, seeded_random(self._seed, "fault", arrival.session_id, arrival.before))

    def _latency_s(self, target: str, before: int) -> float:
        latency = self.latency
        return latency.low_s if latency.fixed else latency.at(seeded_random(self._seed, "latency", target, before))

    def _answer(self, arrival: _Arrival, behaviour: Behaviour) -> None:
        # A client that has disconnected does not undo its request: the real API performs the stop, too.
        if self._closed:
            return
        answer = behaviour.answers[arrival.before % len(behaviour.answers)] if behaviour.answers else None
        executed = False
        if behaviour.executes:
            ordinary, executed = perform(
                arrival.call, arrival.request, arrival.session_id, self.sessions, self.user_id, self.stamp.now()
            )
            answer = answer or ordinary
        if arrival.call is Call.STOP and arrival.session_id is not None and behaviour.is_late:
            self.sessions.stop(arrival.session_id, self.stamp.now())
        if arrival.call is Call.STOP:
            self._record_delete(arrival, behaviour, answer, executed)
        if answer is not None and behaviour.delivery is Delivery.WHOLE:
            self._count(answer)
        deliver(arrival.connection, behaviour, answer, self.stamp, close=arrival.request.close)
        if arrival.call is Call.LIST and self.after_list is not None:
            self.after_list(self)

    def _record_delete(self, arrival: _Arrival, behaviour: Behaviour, answer: Answer | None, executed: bool) -> None:
        token, whole = bearer(arrival.request), behaviour.delivery is Delivery.WHOLE
        self._recorder.add(
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


def seeded_random(*keys: object) -> float:
    """Return a number in [0, 1) that depends on the keys alone, not on the order in which requests arrive."""
    digest = blake2b("/".join(map(str, keys)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
