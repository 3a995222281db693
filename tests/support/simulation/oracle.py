"""The oracle: from the world's own history it says what may have happened, and compares. It shares no code with reaper.

Books are given to it as plain `Booked` rows. What each rule says is in docs/simulation.md.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.support.simulation.belief import Belief
from tests.support.simulation.books import Booked, Pausing
from tests.support.simulation.conduct import Conduct
from tests.support.simulation.plan import HANGS_S, STUCK, has_stuck
from tests.support.simulation.virtual_time import CLOCK

if TYPE_CHECKING:
    from tests.support.simulation.api_model import Told
    from tests.support.simulation.loop import Process
    from tests.support.simulation.world import World

GRACE_S = 120.0
"""`discovery.grace_s` of the simulation."""
MAX_ATTEMPTS = 16
"""`retry.max_attempts` of the simulation."""
MAX_UNRECORDED = 25
"""Sends without a recorded answer after which an ID ends exhausted."""
PROTECTED_WITHIN_S = 6.0
"""What was looked at before a line came into protect.file may still be stopped: one read and one send."""
IN_FLIGHT_S = 20.0
"""What was in flight when it was cancelled has its answer by then: one send, slow as the model makes it."""
READ_WITHIN_S = 60.0
"""A sweep queues what a list showed that it read so long ago at most: the read, slow as it may be, and the queue."""
DUE_WITHIN_S = 90.0
"""What became due so short a time ago may be open."""
HALF_OPEN = frozenset({"credentials", "wrong_target", "forbidden_storm"})
"""Pauses that end with the answer to a DELETE: they last while there is nothing to send one for."""
PAUSE_CAUSES: dict[str, frozenset[str]] = {
    "credentials": frozenset({"token_rotated", "token_revoked", "token_missing", "token_of_another"}),
    "throttled": frozenset({"throttle"}),
    "operator": frozenset({"operator_pause"}),
    "api_down": frozenset(
        {
            *("bad_gateway", "bad_gateway_applied", "internal", "unavailable", "list_500", "slow", "refused"),
            *("black_hole", "lost_request", "lost_answer", "half_answer", "drip", "unasked", "closed_idle", "suspend"),
            *("suspend_host", "address_changed"),
        }
    ),
    "wrong_target": frozenset(
        {
            *("gateway_404", "gateway_html", "one_replica_404", "list_lags", "list_cut", "list_500", "throttle"),
            *("token_of_another", "lost_request", "lost_answer", "half_answer", "bad_gateway_applied", "drip"),
            *("slow", "suspend", "suspend_host", "address_changed"),
        }
    ),
    "forbidden_storm": frozenset({"refuse_all"}),
}
"""Which faults of the world can be the reason of a pause."""
REFUSED_TOKENS = frozenset({"token_revoked", "token_missing", "token_of_another"})
"""Faults in which the token that stands in the file is not good. A rotation is none: the new one is."""


class Oracle:
    """Judges one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kinds = {fault.kind for fault in world.plan.faults}
        self._wrong_clock = any(kind.startswith("wall_") for kind in self._kinds) and world.plan.engine == "ledger"
        self._judged = 0
        self._stopped: Counter[str] = Counter()
        self._belief, self._conduct = Belief(world), Conduct(world)
        world.on_pause = self._judge_beginning
        world.on_gone = self._belief.gone
        world.on_exhausted = self._belief.exhausted
        world.network.on_delete = self._judge_send

    # --- at every moment --------------------------------------------------------------------------------------------

    def look(self, pauses: list[Pausing]) -> None:
        """Judge what was sent since the last look, and the pauses that hold."""
        world = self._world
        for told in world.api.told[self._judged :]:
            if told.account == "other":
                world.breaks(f"a DELETE of {told.session_id} with the token of another account")
            self._judge_cancelled(told)
            if told.status and world.asked.get(told.session_id, 1e18) > told.at_s:
                self._may_be_discovered(told.session_id, told.at_s)
            if told.was_applied:
                self._stopped[told.session_id] += 1
                self._judge_stop(told.session_id, told.at_s)
        self._judged = len(world.api.told)
        for name, most in world.network.busiest.items():
            if most > world.plan.concurrency:
                world.breaks(f"{name} had {most} DELETEs in flight, its bound is {world.plan.concurrency}")
                world.network.busiest[name] = 0
        for name, reason, since_s in pauses:
            self._judge_pause(name, reason, since_s)

    def _may_be_discovered(self, session_id: str, at_s: float) -> None:
        hosted = self._world.api.sessions.get(session_id)
        if hosted is None:
            self._world.breaks(f"a DELETE of {session_id}, which nobody ever named")
        elif hosted.plan.way != "list" or not self._world.plan.discovers:
            self._world.breaks(f"a DELETE of {session_id} before anybody asked for it")
        elif hosted.plan.expires_s + GRACE_S > at_s + 1:
            self._world.breaks(f"a DELETE of {session_id}, which expires at {hosted.plan.expires_s:.0f} s")

    def _judge_cancelled(self, told: Told) -> None:
        cancelled_s = self._world.cancelled.get(told.session_id)
        if cancelled_s is not None and told.at_s > cancelled_s + IN_FLIGHT_S and not self._kinds & {"dead_retry"}:
            self._world.breaks(f"a DELETE of {told.session_id}, which was cancelled at {cancelled_s:.0f} s")

    def _judge_send(self, process: Process, session_id: str) -> None:
        self._conduct.judge_send(process, session_id)
        left = self._world.sends_left.get(session_id)
        if left is None or process.was_stopped or self._kinds & {"dead_retry"}:
            return
        self._world.sends_left[session_id] = left - 1
        if left == 0:
            self._world.breaks(f"{process.name} sends a DELETE of {session_id} again, which was cancelled")

    def _judge_stop(self, session_id: str, at_s: float) -> None:
        world = self._world
        hosted = world.api.sessions[session_id]
        is_slow = bool(world.overlapping({"slow"}, at_s - IN_FLIGHT_S, at_s))  # written long before it is obeyed
        within_s = IN_FLIGHT_S if is_slow else PROTECTED_WITHIN_S
        if hosted.protected_s is not None and hosted.protected_s + within_s < at_s:
            world.breaks(f"{session_id} was stopped, which is protected since {hosted.protected_s:.0f} s")
        due_s = hosted.plan.due_after_s
        if (
            due_s is not None
            and hosted.plan.way != "list"
            and not self._wrong_clock
            and not self._kinds & {"make_due", "again", "postpone"}
        ):
            asked_s = world.asked[session_id]
            if hosted.plan.again_s is None and at_s < asked_s + due_s - 1:
                world.breaks(f"{session_id} was stopped {asked_s + due_s - at_s:.0f} s before it was due")

    def _judge_beginning(self, name: str, reason: str) -> None:
        self._judge_pause(name, reason, CLOCK.elapsed_s)
        now = CLOCK.elapsed_s
        overlapping = self._world.overlapping
        slept = any(  # what was stopped sends with its old token before it reads the new one, and logs late
            overlapping(REFUSED_TOKENS | {"token_rotated"}, fault.at_s - 2, fault.end_s)
            for fault in overlapping({"suspend", "suspend_host"}, now - 30, now)
            if fault.for_s < HANGS_S
        )
        if reason == "credentials" and not slept and not overlapping(REFUSED_TOKENS, now - 30, now):
            self._world.breaks(f"{name} pauses, credentials, and the token in the file is good")

    def _judge_pause(self, name: str, reason: str, since_s: float) -> None:
        world = self._world
        causes = PAUSE_CAUSES[reason]
        if reason in ("forbidden_storm", "wrong_target") and self._refusals() >= 2:
            return  # IDs that the API refuses or does not know, many in a row
        if reason == "api_down" and has_stuck(world.plan):
            return
        if not any(f.kind in causes and f.at_s <= since_s + 120 for f in world.plan.faults):
            world.breaks(f"{name} is paused, {reason}, since {since_s:.0f} s: nothing in the world is a reason")

    def _refusals(self) -> int:
        return sum(1 for one in self._world.plan.sessions if one.nature in ("forbidden", "odd", "unknown"))

    # --- at the end -------------------------------------------------------------------------------------------------

    def judge_books(self, books: dict[str, Booked], now_s: float) -> None:
        """Judge every row, and that none is missing."""
        world = self._world
        sent_s: dict[str, list[float]] = {}
        for at_s, _, session_id in world.network.sent:
            sent_s.setdefault(session_id, []).append(at_s)
        checks = Counter(session_id for _, _, session_id in world.network.checked)
        told: dict[str, set[int]] = {}
        for one in world.api.told:
            told.setdefault(one.session_id, set()).add(one.status)
        self._judge_sweeps(books)
        for session_id in sorted(world.taken - books.keys()):
            world.breaks(f"{session_id} was taken in and is in no book")
        for session_id, row in sorted(books.items()):
            hosted = world.api.sessions.get(session_id)
            if hosted is None:
                world.breaks(f"{session_id} is in the books, and nobody ever named it")
                continue
            alive = hosted.is_alive(now_s)
            answers = told.get(session_id, set())
            fault = self._fault_of(row, alive, answers, now_s, hosted.protected_s)
            fault = fault or self._belief.overcharged(row, sent_s.get(session_id, []))
            fault = fault or self._belief.outage_charged(row, len(sent_s.get(session_id, [])) + checks[session_id])
            fault = fault or self._conduct.miscancelled(row, now_s)
            if fault:
                world.breaks(f"{session_id} is booked {row.outcome or 'open'} ({row.detail}): {fault}")

    def _judge_sweeps(self, books: dict[str, Booked]) -> None:
        """Judge that no sweep above the limit was queued, in whole or in part, unless an operator approved it."""
        limit = self._world.plan.max_per_sweep
        at_once = Counter(
            row.added_s
            for row in books.values()
            if row.source.startswith("discovery:") and row.session_id not in self._world.approved
        )
        for at_s, count in sorted(at_once.items()):
            if count > limit:
                self._world.breaks(
                    f"{count} sessions were queued by one sweep at {at_s:.0f} s, its guard allows {limit}"
                )
            elif not self._wrong_clock and not self._kinds & {"clock_of_api", "suspend", "suspend_host"}:
                over = self._over(at_s, books)
                if over > limit:
                    self._world.breaks(
                        f"{count} of {over} were queued by one sweep at {at_s:.0f} s: the guard holds all"
                    )

    def _over(self, at_s: float, books: dict[str, Booked]) -> int:
        """Return how many sessions a list read some seconds ago must have shown over, that no queue had."""
        listed_s = at_s - READ_WITHIN_S
        return sum(
            1
            for session_id, hosted in self._world.api.sessions.items()
            if hosted.plan.way == "list"
            and hosted.plan.expires_s + GRACE_S < listed_s
            and hosted.was_alive(at_s)
            and (hosted.protected_s is None or hosted.protected_s > at_s)
            and (session_id not in books or books[session_id].added_s >= at_s)
        )

    def _fault_of(self, row: Booked, alive: bool, answers: set[int], now_s: float, protected_s: float | None) -> str:
        match row.outcome:
            case "":
                is_stuck = self._world.api.sessions[row.session_id].plan.nature == STUCK and row.sends
                in_time = self._due_s(row, now_s) > now_s - DUE_WITHIN_S
                return "" if in_time or is_stuck else f"it was due at {row.due_s:.0f} s and is not settled"
            case "stopped":
                if 204 not in answers:
                    return "no answer ever said so"
                return "it is alive" if alive else ""
            case "already_gone":
                # Nobody's list shows what is somebody else's, so that nothing can take back a gateway's 404 there.
                nature = self._world.api.sessions[row.session_id].plan.nature
                ghost = row.round > 1 or "ambiguous" in row.detail or nature == "forbidden"
                if not answers & {404, 410}:
                    return "no answer ever said so"
                return "it is alive" if alive and not ghost else ""
            case "forbidden":
                return "" if 403 in answers else "no answer ever said so"
            case "rejected":
                return "" if answers & {400} else "no answer ever said so"
            case "exhausted":
                enough = row.attempts >= MAX_ATTEMPTS or row.sends >= MAX_UNRECORDED
                return "" if enough else f"only {row.attempts} sends were charged to it"
            case "protected":
                return "" if protected_s is not None else "nothing protects it"
            case "cancelled":
                return "" if row.session_id in self._world.cancel_asked else "nobody cancelled it"
            case other:
                return f"there is no outcome {other}"

    def _due_s(self, row: Booked, now_s: float) -> float:
        """Return when an open row was due first: a time that its producer named goes by the queue's clock."""
        plan, off_s = self._world.api.sessions[row.session_id].plan, self._world.wrong_clock_s
        if plan.way == "list":
            return row.added_s - off_s
        if plan.due_after_s is not None and not row.sends:
            return row.due_s - off_s
        asked_s = self._world.asked.get(row.session_id, 0.0)
        if plan.due_after_s is not None:  # claimed, its row names the end of the lease and not the time any more
            asked_s += plan.due_after_s - min(0.0, off_s)
        # "Now", or the waits of retries, whose lengths no clock changes.
        return plan.again_s if plan.again_s is not None and asked_s < plan.again_s < now_s else asked_s

    def judge_rest(self, pauses: list[Pausing], unbalanced: str, *, waiting: bool) -> None:
        """Judge what has to be over by now, and the balance of the books."""
        for name, reason, since_s in pauses:
            if reason in HALF_OPEN and not waiting:
                continue
            self._world.breaks(f"{name} is still paused, {reason}, since {since_s:.0f} s: its reason is gone")
        if unbalanced:
            self._world.breaks(f"the books do not balance: {unbalanced}")
        for session_id, times in self._stopped.items():
            if times > 1:
                self._world.breaks(f"{session_id} was stopped {times} times: the model of the API is wrong")
