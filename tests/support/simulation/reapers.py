"""The reapers of a world, started as their commands start them (`app/start.py`, `app/once.py`); what befalls them."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from reaper.app.once import Waits, run_once
from reaper.app.run_parts import RunParts
from reaper.app.signals import Signals
from reaper.app.start import start_and_run
from reaper.app.startup import credentials_of
from reaper.core.classify import Throttled
from reaper.core.errors import QueueError, QueueUnavailableError, ReaperError
from reaper.queues.base import Queue
from reaper.queues.values import Added
from reaper.settings.config_file import Search
from reaper.settings.load import Loaded
from reaper.settings.reference import setting_specs
from reaper.settings.schema import Settings
from tests.support.queues.memory_store import Store
from tests.support.simulation.link import ADDRESS
from tests.support.simulation.loop import PROCESS, Process
from tests.support.simulation.plan import HANGS_S, Fault
from tests.support.simulation.queues import faulty_memory, open_ledger
from tests.support.simulation.rests import Rests
from tests.support.simulation.virtual_time import CLOCK
from tests.support.simulation.world import World

TIMEOUT_S = 5.0
ANOTHER_ADDRESS = "10.0.0.9"
"""The API of another environment: its sessions are others, and the token is not for it."""
ENDS_WITHIN_S = 30.0
"""After SIGTERM: the drain, one list read, the last writes."""
HAPPENS_TO_PROCESSES = (
    *("kill", "kill_at_commit", "term", "term_twice", "reload", "suspend", "suspend_host"),
    *("wall_forward", "wall_back"),
)


class SimulatedSignals(Signals):
    """The signals of a simulated process: they come from the world, and the exit is its own."""

    def __init__(self, process: Process) -> None:
        super().__init__(now=CLOCK.steady)
        self._process = process

    def catch(self, number: signal.Signals) -> None:
        if number == signal.SIGTERM:
            self._process.ends()
        if self._exit_code is not None:
            self._process.kill()
        elif not self._process.is_dead:
            super().catch(number)


class Reapers:
    """See the head of this file."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = Store()
        """What the queues in memory share: the server's side of them."""
        self.running: dict[int, tuple[Process, SimulatedSignals]] = {}
        self.owners: dict[str, Process] = {}
        """Processes by the name in their leases."""
        self.hung: list[Process] = []
        """Processes that never go on."""
        self.exits: dict[str, int] = {}
        self._open: set[str] = set()
        """Processes whose queue was open once."""
        self.lived_s = 0.0
        """The time of all that ended."""
        self.rests = Rests(world)
        self._closing = False
        self._began: dict[str, float] = {}
        self._crash_next: Process | None = None
        self._hangs_next: Process | None = None
        world.network.on_written = self._note_send

    def settings(self) -> Settings:
        """Return the settings of every reaper of this world."""
        memory = self.world.plan.engine == "memory"
        address = ANOTHER_ADDRESS if self.world.active("address_changed") else ADDRESS[0]
        intake: dict[str, object] = {"files": [str(self.world.disk.followed)], "spool_dir": str(self.world.disk.spool)}
        intake["poll_s"] = 2 * self.world.plan.pace
        return Settings.model_validate(
            {
                "api": {
                    "base_url": f"http://{address}", "allow_http": True, "timeout_s": TIMEOUT_S,
                    "connect_timeout_s": 2, "token_file": str(self.world.disk.token), "credentials_wait_s": 20,
                    "unavailable_wait_s": 20,
                },
                "worker": {
                    "concurrency": self.world.plan.concurrency, "adaptive": self.world.plan.adaptive,
                    "drain_timeout_s": 8,
                },
                "retry": {"base_s": 0.5, "cap_s": 20},
                "queue": {
                    "url": "postgresql://reaper@10.0.0.2/reaper" if memory else f"sqlite:///{self.world.disk.ledger}",
                    "lease_s": 30,
                },
                "intake": intake if self.world.plan.mode == "run" else {},
                "discovery": {"enabled": self.world.plan.discovers, "enforce": True, "interval_s": 60},
                "guard": {"max_per_sweep": self.world.plan.max_per_sweep, "max_share": 1, "list_shrink": 1},
                "protect": {"file": str(self.world.disk.protected)},
                "telemetry": {"listen": "", "log_format": "json"},
            }
        )  # fmt: skip

    @asynccontextmanager
    async def opened(self, faulty: bool = True) -> AsyncIterator[Queue]:
        """Open the queue for the process that asks."""
        if self.world.plan.engine == "ledger":
            queue, die = await open_ledger(str(self.world.disk.ledger))
        else:
            if faulty and self.world.active("queue_away"):
                raise QueueUnavailableError("the engine cannot be reached")
            queue, die = faulty_memory(
                self.store, self.world.chance, self.world.active if faulty else _never, self.world.met
            )
        process = PROCESS.get()
        if process is not None:
            process.on_death.append(die)
            self.owners[queue.owner] = process
            self._open.add(process.name)
        try:
            yield queue
        finally:
            await queue.close()
            if process is not None:
                process.on_death.remove(die)

    def start(self, number: int) -> None:
        """Start a reaper, as its service manager or timer does."""
        if self._closing:
            return
        process = Process(
            f"reaper{number}.{self.world.history.counts['starts']}",
            self.world.hosts[number % len(self.world.hosts)],
            self.world.loop,
        )
        signals = SimulatedSignals(process)
        self.running[number] = process, signals
        self._began[process.name] = CLOCK.elapsed_s
        work = self._daemon(signals) if self.world.plan.mode == "run" else self._once(signals)
        task = self.world.loop.create_task(work, context=process.context)
        process.tasks.add(task)
        process.on_death.append(lambda: self._ended(number, process, None))
        task.add_done_callback(lambda task: self._ended(number, process, task), context=contextvars.Context())
        self.world.history.add(process.name, "started", "starts")

    def _ended(self, number: int, process: Process, task: asyncio.Task[int] | None) -> None:
        if process.name not in self._began or (task is not None and process.is_dead):
            return
        self.lived_s += CLOCK.elapsed_s - self._began.pop(process.name)
        again_s = self.world.chance.uniform(1, 8) if self.world.plan.mode == "run" else self.rests.once_every_s
        if task is None:
            self.world.history.add(process.name, "killed", "killed")
        else:
            self._count_exit(process, task)
            process.ends()
            process.is_dead = True
        self.world.loop.call_later(again_s, self.start, number, context=contextvars.Context())

    def _count_exit(self, process: Process, task: asyncio.Task[int]) -> None:
        error, asked = task.exception(), process.ended_s is not None
        if error is None:
            code = str(int(task.result()))
        elif isinstance(error, ReaperError):
            code = type(error).__name__
            outlives = self.world.plan.mode == "run" and process.name in self._open and not asked
            now = CLOCK.elapsed_s
            is_away = bool(self.world.overlapping({"queue_away", "queue_lost_ack", "queue_slow"}, now - 15, now))
            # It ends without its queue, asked to or as `once` after its time, and says what is not recorded.
            unrecorded = (asked or self.world.plan.mode == "once") and is_away and isinstance(error, QueueError)
            if outlives or not (isinstance(error, QueueUnavailableError) or unrecorded):
                self.world.breaks(f"{process.name} ended with {code}: {error}")
        else:
            code = "traceback"
            lines = "".join(traceback.format_exception(error)[-6:])
            self.world.breaks(f"{process.name} ended with {error!r}\n{lines}")
        self.exits[code] = self.exits.get(code, 0) + 1
        self.world.history.add(process.name, f"ended: {code}")

    async def _daemon(self, signals: SimulatedSignals) -> int:
        loaded = self._loaded()
        credentials = credentials_of(loaded.settings)
        return await start_and_run(
            loaded, credentials, signals, open_writing=self.opened, load=self._loaded, reap=False
        )

    def _loaded(self) -> Loaded:
        return Loaded(self.settings(), dict.fromkeys(setting_specs(), "default"), (), Search())

    async def _once(self, signals: SimulatedSignals) -> int:
        settings = self.settings()
        async with AsyncExitStack() as stack:
            queue = await stack.enter_async_context(self.opened())
            members = queue.new_set()
            parts = RunParts(settings, queue, credentials_of(settings), stack)
            added = Added(0, 0, 0)
            if self.world.plan.discovers:  # as `once --discover` does
                swept = await (await parts.discovery()).discovery.sweep(members)
                parts.throttled = swept.unread if isinstance(swept.unread, Throttled) else None
                added = swept.added
            await members.include_due()
            waits = Waits.of(settings, retry_s=60, budget_s=None)
            summary = await run_once(parts, members, added, waits, signals=signals)
            return int(summary.exit)

    def befall(self, fault: Fault) -> None:
        """Let a fault happen to the reaper that the plan means, if it lives."""
        number = fault.target % self.world.plan.reapers
        if number not in self.running or self.running[number][0].name not in self._began:
            return
        process, signals = self.running[number]
        self.world.history.add(process.name, f"{fault.kind} {fault.for_s or fault.share:g}", fault.kind)
        if fault.kind != "kill_at_commit":
            self.world.met(fault.kind)
        match fault.kind:
            case "kill":
                process.kill()
            case "kill_at_commit":
                self._crash_next = process
            case "term" | "term_twice":
                self._signal(process, signals, signal.SIGTERM)
                again_s = 1.5 if fault.kind == "term_twice" else fault.share
                if again_s != 1:  # below 1 a wrapper sends it, and a terminal
                    self.world.later(again_s, self._signal, process, signals, signal.SIGTERM)
            case "reload":
                self._signal(process, signals, signal.SIGHUP)
            case "suspend":
                self._stop(process, fault.for_s)
            case "suspend_host":
                for other, _ in self.running.values():
                    if other.host is process.host:
                        self._stop(other, fault.for_s)
            case "wall_forward" | "wall_back":
                process.host.wall_offset_s += fault.share if fault.kind == "wall_forward" else -fault.share
            case _:
                raise ValueError(fault.kind)

    def _stop(self, process: Process, for_s: float) -> None:
        if for_s >= HANGS_S:
            self._hangs_next = process
        elif process not in self.hung:  # which the end of another stop would wake
            process.stop()
            self.world.later(for_s, process.go_on)

    def _note_send(self, process: Process) -> None:
        """Let the process hang that is to do so: it waits for an answer now."""
        if process is self._hangs_next:
            process.stop()
            self.hung.append(process)
            self.world.history.add(process.name, "hangs for good")

    def reload_all(self) -> None:
        """Send SIGHUP to every reaper that lives: its settings changed."""
        for process, signals in self.running.values():
            self._signal(process, signals, signal.SIGHUP)

    def _signal(self, process: Process, signals: SimulatedSignals, number: signal.Signals) -> None:
        if not process.is_dead:
            process.context.run(signals.catch, number)

    def crash(self, when: str) -> bool:
        """Return whether the process that commits dies now."""
        process = PROCESS.get()
        if process is None or process is not self._crash_next or self.world.chance.random() < 0.5:
            return False
        self._crash_next = None
        self.world.met("kill_at_commit")
        self.world.history.add(process.name, f"dies {when} a commit")
        process.kill()
        return True

    async def end(self) -> None:
        """End every reaper as its service manager does."""
        self._closing = True
        for process in self.hung:
            process.kill()
        for process, signals in self.running.values():
            self._signal(process, signals, signal.SIGTERM)
        await anyio.sleep(ENDS_WITHIN_S)
        for process, _ in self.running.values():
            if process.name in self._began:
                self.world.breaks(f"{process.name} did not end within {ENDS_WITHIN_S:.0f} s of SIGTERM")
                process.kill()


def _never(kind: str) -> None:
    return None
