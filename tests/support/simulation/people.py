"""Those around reaper: programs that hand sessions in, operators, and whoever rotates the token."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import anyio

from reaper.app.operator_orders import decide_hold
from reaper.core.discovery import holds as core_holds
from reaper.core.errors import QueueUnavailableError, RefusedError
from reaper.core.model import DEAD, Pause, PauseReason, SessionId
from reaper.intake.discovery.held_sweeps import holds_of
from reaper.queues.base import Queue
from reaper.queues.values import Batch, NewItem
from tests.support.simulation.api_model import Hosted
from tests.support.simulation.plan import Fault, PlannedSession
from tests.support.simulation.reapers import Reapers
from tests.support.simulation.virtual_time import CLOCK, EPOCH
from tests.support.simulation.world import World

TRIED_AGAIN_S = 150.0
"""A pause that is half-open tries one DELETE after the other, 60 s apart at most."""
BOTH_VALID_S = (0.6, 2.0)
"""How long an old token is valid beside the new one: each reaper reads its file every 0.5 s."""
SEEN_WITHIN_S = 12.0
"""A reaper whose queue is slow reads its token file so late: one round with the queue, 10 s at most, comes between."""
WATCHED_EVERY_S = 0.05
"""How often an operator looks whether something is in flight."""
DECISIONS = ("approve_hold", "discard_hold")
ACTS = ("cancel", "postpone", "make_due", "dead_retry", "again")


class People:
    """See the head of this file."""

    def __init__(self, world: World, reapers: Reapers) -> None:
        self.world, self.reapers = world, reapers
        self._tokens = 0

    async def act_with_queue(self, act: Callable[[Queue], Awaitable[object]]) -> bool:
        """Do something with the queue as a command does: in a process of its own. False when the queue is away."""
        try:
            async with self.reapers.opened() as queue:
                await act(queue)
        except QueueUnavailableError:
            return False
        return True

    async def act_until_done(self, act: Callable[[Queue], Awaitable[object]]) -> None:
        """Do the same until the queue is there."""
        for _ in range(100_000):
            if await self.act_with_queue(act):
                return
            await anyio.sleep(5)

    async def ask(self, session_id: str, due_s: float | None, *, again: bool = False) -> None:
        """`reaper add`, by a program that tries until it succeeds."""
        due_at = None if due_s is None else EPOCH + due_s
        self.world.asked.setdefault(session_id, CLOCK.elapsed_s)

        async def add(queue: Queue) -> None:
            item = NewItem(SessionId(session_id), due_at)
            if again:
                await self._add_again(queue, [item], "producer")
            else:
                await queue.add(Batch("producer", [item]), by="producer")

        await self.act_until_done(add)
        self.world.taken.add(session_id)
        self.world.history.add(session_id, "added again" if again else "added", "added")

    async def _add_again(self, queue: Queue, items: list[NewItem], by: str) -> None:
        self.world.asked_again.update(one.session_id for one in items)
        try:
            await queue.add(Batch("producer", items), again=True, by=by)
        finally:  # it may have happened although its answer is lost
            for one in items:
                self.world.cancelled.pop(one.session_id, None)
                self.world.sends_left.pop(one.session_id, None)

    async def _watch(self, for_s: float) -> None:
        """Wait until something is in flight, but no longer than so long."""
        for _ in range(round(min(for_s, self.world.length_s - CLOCK.elapsed_s) / WATCHED_EVERY_S)):
            if self.world.network.under_way():
                return
            await anyio.sleep(WATCHED_EVERY_S)

    def _known(self, kind: str) -> list[str]:
        """Return the IDs of which an operator takes some."""
        known = sorted(self.world.taken)
        if kind in ("cancel", "postpone"):
            known = [one for one in known if self.world.api.sessions[one].is_alive(CLOCK.elapsed_s)]
            moving = sorted(self.world.network.under_way().intersection(known))
            if moving and self.world.chance.random() < 0.8:
                return moving  # what an operator sees moving
        return known

    async def operate(self, fault: Fault) -> None:
        """Do what an operator does: something to some of the IDs."""
        kind = fault.kind
        if fault.share > 1:
            await self._watch(fault.share)
        known = self._known(kind)
        ids = [
            SessionId(one)
            for one in self.world.chance.sample(known, min(len(known), self.world.chance.randrange(1, 6)))
        ]

        async def act(queue: Queue) -> None:
            match kind:
                case "cancel":
                    self.world.cancel_asked.update(ids)  # it may happen although its answer is lost
                    for session_id, result in (await queue.cancel(ids, reason="a test", by="ann")).items():
                        if result.value in ("done", "requested", "cancelled"):
                            self.world.cancelled.setdefault(session_id, CLOCK.elapsed_s)
                            is_sent = session_id in self.world.network.under_way()
                            self.world.sends_left.setdefault(session_id, 0 if is_sent else 1)
                        self.world.history.add(session_id, f"cancel: {result.value}")
                case "postpone":
                    for session_id, changed in (await queue.postpone(ids, after_s=120, by="ann")).items():
                        self.world.history.add(session_id, f"postponed by 120 s: {changed.value}")
                case "make_due":
                    await queue.make_due(retries=True)
                case "dead_retry":
                    dead = [item.session_id async for item in queue.outcomes(only=DEAD)][:20]
                    await queue.reopen(dead, reason="a test", by="ann")
                case "again":
                    await self._add_again(queue, [NewItem(one) for one in ids], "ann")
                case _:
                    raise ValueError(kind)

        if await self.act_with_queue(act):
            self.world.met(kind)

    async def decide(self, kind: str) -> None:
        """Approve or discard a sweep that is held, if there is one, and repeat it until it succeeds."""
        decision = core_holds.approve if kind == "approve_hold" else core_holds.discard
        chosen: list[core_holds.Hold] = []

        async def act(queue: Queue) -> None:
            if not chosen:
                waiting = core_holds.open_holds(await holds_of(queue), queue.now())
                if not waiting:
                    return
                chosen.append(self.world.chance.choice(waiting))
            if kind == "approve_hold":  # it may happen although its answer is lost
                self.world.approved.update(chosen[0].sessions)
            with suppress(RefusedError):  # another operator was quicker
                await decide_hold(queue, decision, chosen[0].id, by="ann", why=None)
                if kind == "approve_hold":
                    self.world.taken.update(chosen[0].sessions)

        await self.act_until_done(act)
        if chosen:
            self.world.met(kind)
            self.world.history.add("world", f"{kind} {chosen[0].id}: {len(chosen[0].sessions)} sessions", kind)

    async def pause(self, for_s: float) -> None:
        """An operator's pause."""
        pause = Pause(PauseReason.OPERATOR, EPOCH + CLOCK.elapsed_s, "by ann: a test", by="ann")
        if await self.act_with_queue(lambda queue: queue.pause(pause)):
            self.world.met("operator_pause")
            self.world.history.add("world", "paused by an operator")
            if self.world.paused_s is None:
                self.world.paused_s = CLOCK.elapsed_s
        await anyio.sleep(for_s)
        self.world.paused_s = None
        await self.act_until_done(lambda queue: queue.pause(None))

    def new_token(self, account: str = "own") -> str:
        """Return a token that is valid from now on."""
        self._tokens += 1
        token = f"archal_ws_secret{self.world.plan.seed}x{self._tokens}"
        self.world.api.tokens[token] = account
        return token

    def change_token(self, fault: Fault) -> None:
        if fault.kind == "token_of_another" and not self.world.knows_account:
            return
        valid = [token for token, account in self.world.api.tokens.items() if account == "own"]
        self.world.met(fault.kind)
        match fault.kind:
            case "token_rotated":
                self.world.disk.write_token(self.new_token())
                both_valid_s = self.world.chance.choice(BOTH_VALID_S)
                if self.world.overlapping({"queue_slow"}, fault.at_s, fault.at_s + 2):
                    both_valid_s = SEEN_WITHIN_S
                for token in valid:
                    self.world.later(both_valid_s, self.world.api.tokens.pop, token, None)
            case "token_revoked":
                for token in valid:
                    self.world.api.tokens.pop(token, None)
                self.world.later(fault.for_s, lambda: self.world.disk.write_token(self.new_token()))
            case "token_missing":
                self.world.disk.token.unlink(missing_ok=True)
                self.world.later(fault.for_s, lambda: self.world.disk.write_token(self.new_token()))
            case "token_of_another":
                self.world.disk.write_token(self.new_token("other"))
                self.world.later(fault.for_s, lambda: self.world.disk.write_token(self.new_token()))
            case _:
                raise ValueError(fault.kind)

    async def ask_once_more(self) -> None:
        """Ask for two more sessions, when all has been well for long: nothing may be left that holds them up."""
        names = [f"env_{self.world.plan.seed}-last{n}" for n in range(2)]
        for name in names:
            session = PlannedSession(name, "add", CLOCK.elapsed_s)
            self.world.api.sessions[name] = Hosted(session)
            await self.ask(name, None)
        await anyio.sleep(TRIED_AGAIN_S)

    async def produce(self, session_id: str) -> None:
        """Hand a session in when its time has come."""
        await anyio.sleep(self.world.api.sessions[session_id].plan.asked_s)
        if session_id not in self.world.asked:
            await self.hand_in(session_id)

    async def hand_in(self, session_id: str) -> None:
        session = self.world.api.sessions[session_id].plan
        due_s = None if session.due_after_s is None else CLOCK.elapsed_s + session.due_after_s
        if session.way == "list":
            return
        if session.way == "add":
            await self.ask(session_id, due_s)
            if session.again_s is not None:
                await anyio.sleep(max(0.0, session.again_s - CLOCK.elapsed_s))
                await self.ask(session_id, None, again=True)
            return
        self.world.asked.setdefault(session_id, CLOCK.elapsed_s)
        line = session_id
        if due_s is not None:
            line = json.dumps({"session_id": session_id, "due_at": _rfc3339(due_s)})
        if session.way == "file":
            self.world.disk.append(session_id, line)
            self.world.later(5.0, self.world.disk.finish_line)
        else:
            self.world.disk.drop(session_id, line)
        self.world.taken.add(session_id)

    def protect_more(self) -> None:
        waiting = [h for h in self.world.api.sessions.values() if h.is_alive(CLOCK.elapsed_s) and h.protected_s is None]
        for hosted in self.world.chance.sample(waiting, min(2, len(waiting))):
            hosted.protected_s = CLOCK.elapsed_s
            self.world.history.add(hosted.plan.session_id, "protected from now on", "protect_more")
        self.world.met("protect_more")
        self.world.disk.protect([i for i, h in self.world.api.sessions.items() if h.protected_s is not None])


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(EPOCH + at_s, UTC).isoformat()
