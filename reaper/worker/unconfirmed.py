"""Keeps answers unbooked, under their leases, until a read of the API's list has confirmed them.

These are answers of 404 beyond the allowance, and the last failure of an ID that would end `exhausted` though nothing
shows that the failure is not the API's own. Each result passes here on its way to the settler. Nothing is kept beyond
its lease: an answer of 404 that no read has confirmed by then is released, not charged; a failure is charged as others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio

from reaper.core.gate import Gate
from reaper.core.model import Decision, Lease, Outcome, Release, Retry, Send, SessionId, Settle
from reaper.worker.ports import GoneJournal, WorkerOptions
from reaper.worker.shutdown import Shutdown

TICK_S = 0.5
MARGIN_S = 2.0
"""How long before its lease ends an answer is released: the settler needs some time."""

MAX_BACKOFF = 4
"""The backoff grows no further than that of so many sends: the session lives, and the next answer may be the API's."""

FINAL_WITHIN_S = 0.5
"""A failure waits so long for the final answer of another ID before it asks for a read."""
PROOFS = (Outcome.STOPPED, Outcome.FORBIDDEN, Outcome.REJECTED)
"""Outcomes whose answer shows that the API works; a 404 is every gateway's."""

PostResult = Callable[[Lease, Decision, Send | None], None]


class Kept(NamedTuple):
    """One answer that waits: when it came, until when it may wait, and whether only a read begun later confirms it."""

    lease: Lease
    decision: Settle
    send: Send | None
    at: float
    until: float
    needs_later_read: bool
    generation: int


@dataclass(slots=True)
class Unconfirmed:
    """The answers that wait: at most `claims.MAX_WAITING` more than slots and prefetched items."""

    gate: Gate
    options: WorkerOptions
    shutdown: Shutdown
    journal: GoneJournal
    post_result: PostResult
    """Takes each result on: `Claims.post_result`."""
    wake: Callable[[], None]
    """Makes the claim loop turn: an answer that waits takes no slot."""
    clock: Callable[[], float]
    now: Callable[[], float]
    jitter: Callable[[], float]
    booked: int = 0
    """Answers that were passed on to be booked."""
    _kept: list[Kept] = field(default_factory=list)
    _read_is_due: anyio.Event = field(default_factory=anyio.Event)

    def post(self, lease: Lease, decision: Decision, send: Send | None) -> None:
        """Take the result of an attempt: pass it on at once, or keep it until a read of the list."""
        if not isinstance(decision, Settle):
            return self.post_result(lease, decision, send)
        if decision.unless_up is not None and self.gate.verify:
            self.gate.allowance.ask(self.now() + FINAL_WITHIN_S)
            return self._keep(lease, decision, send, needs_later_read=True)
        if self._kept and decision.outcome in PROOFS and send is not None:
            self._book_failures()
        if decision.outcome is Outcome.ALREADY_GONE:
            return self._post_gone(lease, decision, send)
        return self.post_result(lease, decision, send)

    def _post_gone(self, lease: Lease, decision: Settle, send: Send | None) -> None:
        """Book an answer of 404 within the allowance, and keep one beyond it."""
        allowance = self.gate.allowance
        if needs_later_read := self._needs_later_read(lease):
            allowance.ask()
        due = self.gate.read_due()
        if due is not None and due <= self.now():
            self._read_is_due.set()
        if allowance.is_worth_a_warning:
            self.journal.unproven_gone(allowance.used)
        if not needs_later_read and not allowance.is_exceeded:
            return self._book(lease, decision, send)
        return self._keep(lease, decision, send, needs_later_read=needs_later_read)

    def _keep(self, lease: Lease, decision: Settle, send: Send | None, *, needs_later_read: bool) -> None:
        """Keep an answer until a read; end the wait at once where none can come in time."""
        now = self.now()
        left_s = min(lease.expires_at - self.clock(), self.options.lease_s) - MARGIN_S
        kept = Kept(lease, decision, send, now, now + left_s, needs_later_read, self.gate.generation)
        if self.shutdown.is_draining:
            return self._release(kept)
        if left_s <= 0:
            return self._end_wait(kept)
        self._kept.append(kept)
        return self.wake()

    def count(self) -> int:
        """Return how many answers wait for a read."""
        return len(self._kept)

    def ask_for_read(self) -> None:
        """Make a read due at once."""
        self.gate.allowance.ask()
        self._read_is_due.set()

    async def release_late(self) -> None:
        """End the wait of each answer that cannot wait any longer for a read. Runs until cancelled."""
        while True:
            await anyio.sleep(TICK_S)
            now = self.now()
            late = [kept for kept in self._kept if kept.until <= now]
            if late:
                self._kept = [kept for kept in self._kept if kept.until > now]
                if not self._kept:
                    self.gate.allowance.ask_no_more()
            for kept in late:
                self._end_wait(kept)

    async def wait(self, wait_s: float) -> None:
        """Return when a read may have become due, or after `wait_s`."""
        with anyio.move_on_after(wait_s):
            await self._read_is_due.wait()
        self._read_is_due = anyio.Event()

    def confirm(self, alive: frozenset[str], began: float) -> Sequence[SessionId]:
        """Take in a list whose read began at `began`: of the 404s, book what it does not show, and release the rest.

        Failures that came before the read are booked: the API works, so they are their sessions' own.
        Returns what was released although it was re-opened before: nobody else contradicts its answers.
        """
        kept, self._kept = self._kept, []
        again = []
        for one in kept:
            is_later = one.at <= began
            if one.generation != self.gate.generation:
                self._release(one)
            elif one.needs_later_read and not is_later:
                self._kept.append(one)
                self.gate.allowance.ask()
            elif one.decision.unless_up is not None:
                self.post_result(one.lease, one.decision, one.send)
            elif one.lease.session_id in alive:
                self._release(one)
                if one.lease.round > 1:
                    again.append(one.lease.session_id)
            else:
                if is_later:
                    self.gate.confirm_gone()
                self._book(one.lease, one.decision, one.send)
        return again

    def release_all(self) -> None:
        """Release every answer that waits, not charged: the read failed, or the worker ends."""
        kept, self._kept = self._kept, []
        self.gate.allowance.ask_no_more()
        for one in kept:
            self._release(one)

    def _book_failures(self) -> None:
        """Book the failures that wait: another ID got its final answer, so the API works."""
        failures = [one for one in self._kept if one.decision.unless_up is not None]
        if not failures:
            return
        self._kept = [one for one in self._kept if one.decision.unless_up is None]
        if not self._kept:
            self.gate.allowance.ask_no_more()
        for one in failures:
            self.post_result(one.lease, one.decision, one.send)

    def _end_wait(self, kept: Kept) -> None:
        """Release an answer for which no read comes in time. A failure is charged, and booked the second time."""
        release = kept.decision.unless_up
        if release is None:
            return self._release(kept)
        is_second = kept.lease.attempts >= self.options.retry.max_attempts
        decision = kept.decision if is_second else Retry(release.after_s, ambiguous=release.ambiguous)
        return self.post_result(kept.lease, decision, kept.send)

    def _needs_later_read(self, lease: Lease) -> bool:
        """Return whether only a read that begins after this answer confirms it.

        True in the pause `wrong_target`, and for a session of a later round, which an answer may have called gone
        wrongly before. That one is believed in the end if the API stops others meanwhile, so that no round is endless.
        """
        if self.gate.is_suspicious:
            return True
        is_late = lease.sends > self.options.retry.max_attempts and self.gate.allowance.has_stopped
        return self.gate.verify and lease.round > 1 and not is_late

    def _book(self, lease: Lease, decision: Settle, send: Send | None) -> None:
        self.booked += 1
        self.post_result(lease, decision, send)

    def _release(self, kept: Kept) -> None:
        """Return an answer uncharged, due again soon: in the pause, its probes have gaps of their own."""
        release = kept.decision.unless_up
        if release is None:
            earlier = 0 if self.gate.is_suspicious else min(kept.lease.sends - 1, MAX_BACKOFF)
            release = Release(self.options.retry.backoff_s(earlier, self.jitter()))
        self.post_result(kept.lease, release, kept.send)
