"""Runs one plan in this interpreter, whose clocks and chance were replaced before (`virtual_time.install`)."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path

import anyio

from reaper.core import account, target
from reaper.core.model import SessionId
from reaper.queues.base import Queue
from tests.support.simulation.api_model import Hosted
from tests.support.simulation.books import Booked, Pausing
from tests.support.simulation.loop import VirtualLoop
from tests.support.simulation.oracle import Oracle
from tests.support.simulation.people import ACTS, DECISIONS, People
from tests.support.simulation.plan import ARMED_S, Fault, Plan
from tests.support.simulation.reapers import HAPPENS_TO_PROCESSES, Reapers
from tests.support.simulation.replaced import install
from tests.support.simulation.rests import SETTLES_S
from tests.support.simulation.simulated import Result
from tests.support.simulation.virtual_time import CLOCK, EPOCH, real_process_time
from tests.support.simulation.world import World

LOOKED_EVERY_S = 10.0


def simulate(plan: Plan, *, with_story: bool = False) -> Result:
    """Run a plan from beginning to end."""
    began = real_process_time()
    gc.disable()  # an object with a finaliser that is collected at another moment would change what follows
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    folder = Path(tempfile.mkdtemp(prefix="simulation-"))
    try:
        course = Course(World(plan, folder, loop))
        outcomes = loop.run_until_complete(course.run())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    world, reapers = course.world, course.reapers
    story: list[str] = []
    if with_story:
        subjects = {word.strip(",:") for line in world.broken for word in line.split()} & world.api.sessions.keys()
        story = world.history.story(subjects)
    return Result(
        plan.seed, world.broken, world.history.digest, CLOCK.elapsed_s / 3600, reapers.lived_s / 3600,
        len(plan.sessions), world.history.counts["deletes"], dict(sorted(world.injected.items())), outcomes,
        reapers.exits, real_process_time() - began, story,
    )  # fmt: skip


class Course:
    """The course of events in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reapers = Reapers(world)
        self.people = People(world, self.reapers)
        self.oracle = Oracle(world)
        self._paused_since: dict[tuple[str, str], float] = {}
        """When each pause that holds was first seen, by process and reason."""
        install(world, self.reapers)

    async def run(self) -> dict[str, int]:
        """Let everything happen, judge it, and return how many IDs ended how."""
        world, oracle = self.world, self.oracle
        async with AsyncExitStack() as stack:
            queue = await stack.enter_async_context(self.reapers.opened(faulty=False))
            async with anyio.create_task_group() as group:
                group.start_soon(self._look, queue)
                await self._happen_all(queue)
                self.reapers.rests.expect(CLOCK.elapsed_s + SETTLES_S)
                await anyio.sleep(SETTLES_S)
                await self.people.ask_once_more()
                group.cancel_scope.cancel()
            oracle.look([])
            books = await self._books(queue)
            oracle.judge_books(books, CLOCK.elapsed_s)
            audit = await queue.audit()
            unbalanced = "" if audit.balanced else repr(audit)
            by_its_clock_s = CLOCK.elapsed_s + world.wrong_clock_s
            waiting = any(not row.outcome and row.due_s <= by_its_clock_s for row in books.values())
            oracle.judge_rest(
                await self._pauses(queue) if world.plan.mode == "run" else [], unbalanced, waiting=waiting
            )
            await self.reapers.end()
        counts: dict[str, int] = {}
        for row in books.values():
            counts[row.outcome or "open"] = counts.get(row.outcome or "open", 0) + 1
        return counts

    # --- what happens -----------------------------------------------------------------------------------------------

    async def _happen_all(self, queue: Queue) -> None:
        world = self.world
        world.disk.write_token(self.people.new_token())
        for session in world.plan.sessions:
            hosted = world.api.sessions[session.session_id] = Hosted(session)
            if session.nature == "protected":
                hosted.protected_s = 0.0
        world.disk.protect([one.session_id for one in world.plan.sessions if one.nature == "protected"])
        async with anyio.create_task_group() as group:
            for number in range(world.plan.reapers):
                self.reapers.start(number)
            for session in world.plan.sessions:
                group.start_soon(self.people.produce, session.session_id)
            for fault in world.plan.faults:
                group.start_soon(self._happen, fault, queue)
        await anyio.sleep(max(0.0, world.length_s - CLOCK.elapsed_s))
        world.history.add("world", "all is well from now on")
        for process, _ in self.reapers.running.values():
            if process not in self.reapers.hung:
                process.go_on()

    async def _happen(self, fault: Fault, queue: Queue) -> None:
        await anyio.sleep(fault.at_s)
        world, kind = self.world, fault.kind
        if fault.armed:
            with anyio.move_on_after(min(ARMED_S, world.length_s - CLOCK.elapsed_s)):
                await world.network.next_delete()
            fault = world.begin(fault)
        if kind.startswith("token_"):
            self.people.change_token(fault)
        elif kind in HAPPENS_TO_PROCESSES:
            self.reapers.befall(fault)
        elif kind in ACTS:
            await self.people.operate(fault)
        elif kind == "address_changed":
            world.met(kind)
            world.history.add("world", f"the settings name another address for {fault.for_s:g} s", kind)
            self.reapers.reload_all()
            world.later(fault.for_s + 0.01, self.reapers.reload_all)  # times are sums, and sums are rounded
        elif kind in DECISIONS:
            await self.people.decide(kind)
        elif kind == "operator_pause":
            await self.people.pause(min(fault.for_s, world.length_s - CLOCK.elapsed_s))
        elif kind == "protect_more":
            self.people.protect_more()
        elif kind == "line_in_pieces" or kind.startswith("file_"):
            await self._trouble_file(fault, queue)
        else:
            world.history.add("world", f"{kind} {fault.share:g} for {fault.for_s:g} s", kind)

    async def _trouble_file(self, fault: Fault, queue: Queue) -> None:
        world, kind = self.world, fault.kind
        world.met(kind)
        known = await queue.outcomes_of([SessionId(one) for one in world.api.sessions])
        world.taken -= world.disk.trouble(kind, set(known))
        if kind == "file_rotated_twice":
            for _ in range(int(fault.share)):
                # What comes between two rotations that follow each other at once.
                await self._hand_in_early(1)
                world.disk.trouble("file_rotated", set())
        elif kind == "file_rewritten" and fault.share > 1:
            await self._hand_in_early(int(fault.share))

    async def _hand_in_early(self, lines: int) -> None:
        """Write sessions into the followed file before the time that the plan says."""
        world = self.world
        coming = (one.session_id for one in world.plan.sessions if one.way == "file")
        for session_id in islice((one for one in coming if one not in world.asked), lines):
            world.api.sessions[session_id].is_early = True
            await self.people.hand_in(session_id)

    # --- what is seen -----------------------------------------------------------------------------------------------

    async def _look(self, queue: Queue) -> None:
        while True:
            await anyio.sleep(LOOKED_EVERY_S)
            self.oracle.look(await self._pauses(queue))
            self.world.knows_account = self.world.knows_account or await queue.read_value(account.KEY) is not None
            if not self.world.network.is_pinned:
                self.world.network.is_pinned = await queue.read_value(target.KEY) is not None

    async def _pauses(self, queue: Queue) -> list[Pausing]:
        found: list[Pausing] = []
        for beat in await queue.live_workers():
            process = self.reapers.owners.get(beat.owner)
            if process is None or process.is_dead or process.is_stopped:
                continue
            for pause in beat.pauses:
                # Not its own `since`: the host's clock may have been set in between.
                since_s = self._paused_since.setdefault((process.name, pause.reason.value), CLOCK.elapsed_s)
                found.append(Pausing(process.name, pause.reason.value, since_s))
        for known in self._paused_since.keys() - {(one.process, one.reason) for one in found}:
            del self._paused_since[known]
        return found

    async def _books(self, queue: Queue) -> dict[str, Booked]:
        books: dict[str, Booked] = {}
        for session_id in self.world.api.sessions:
            item = await queue.show(SessionId(session_id))
            if item is not None:
                outcome = item.outcome.value if item.outcome is not None else ""
                due_s = item.due_at - EPOCH
                books[session_id] = Booked(
                    session_id,
                    outcome,
                    item.detail or "",
                    item.round,
                    item.sends,
                    due_s,
                    item.source,
                    item.added_at - EPOCH,
                    item.attempts,
                )
        return books
