"""What a queue must do, in the plainest words: one dictionary, none of the queue's own code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from reaper.core.model import DEAD, Decision, Lease, Outcome, Release, Retry, Settle

FINAL = {Outcome.STOPPED, Outcome.ALREADY_GONE, Outcome.FORBIDDEN, Outcome.REJECTED}


@dataclass
class Entry:
    due_at: float
    round: int = 1
    attempts: int = 0
    sends: int = 0
    recorded: int = 0
    ambiguous: bool = False
    receipt: str | None = None
    holder: int | None = None
    until: float = 0.0
    cancelled: bool = False
    outcome: Outcome | None = None
    finals: int | None = None
    """How many final answers there were at the last claim; None when it was never sent."""
    finals_before: int | None = None

    def free_from(self) -> float:
        return self.due_at if self.receipt is None else self.until


@dataclass
class Model:
    entries: dict[str, Entry] = field(default_factory=dict)
    accepted: int = 0
    duplicate: int = 0
    finals: int = 0
    ended: Counter[Outcome] = field(default_factory=Counter)

    def add(self, ids: list[str], due_at: float, again: bool) -> int:
        taken = 0
        for name in ids:
            entry = self.entries.get(name)
            if entry is None:
                self.entries[name] = Entry(due_at)
            elif again and entry.outcome is not None:
                self.entries[name] = Entry(due_at, round=entry.round + 1)
            else:
                self.duplicate += 1
                continue
            taken += 1
        self.accepted += taken
        return taken

    def claimable(self, now: float) -> dict[str, Entry]:
        return {
            name: entry
            for name, entry in self.entries.items()
            if entry.outcome is None and entry.free_from() <= now and not entry.cancelled
        }

    def claimed(self, lease: Lease, holder: int) -> None:
        entry = self.entries[lease.session_id]
        entry.receipt, entry.holder, entry.until = lease.receipt, holder, lease.expires_at
        entry.sends += 1
        entry.finals_before, entry.finals = entry.finals, self.finals

    def end(self, name: str, outcome: Outcome) -> None:
        entry = self.entries[name]
        entry.outcome, entry.receipt, entry.cancelled = outcome, None, False
        self.ended[outcome] += 1
        self.finals += outcome in FINAL

    def apply(self, lease: Lease, decision: Decision, sent: bool, now: float) -> bool:
        entry = self.entries.get(lease.session_id)
        if entry is None or entry.receipt != lease.receipt:
            return False
        entry.receipt = None
        if sent:
            entry.recorded += 1
        else:
            entry.sends -= 1
            entry.finals = entry.finals_before
        match decision:
            case Settle(outcome=outcome, charged=charged):
                entry.attempts += sent and charged
                self.end(lease.session_id, Outcome.CANCELLED if entry.cancelled and outcome not in FINAL else outcome)
                return True
            case Retry(after_s=after_s, ambiguous=ambiguous) | Release(after_s=after_s, ambiguous=ambiguous):
                entry.attempts += sent and isinstance(decision, Retry)
                entry.ambiguous |= sent and ambiguous
                if sent or after_s > 0:
                    entry.due_at = now + after_s
        if entry.cancelled:
            self.end(lease.session_id, Outcome.CANCELLED)
        return True

    def bury(self, holder: int) -> int:
        """Free what a dead process held."""
        held = [entry for entry in self.entries.values() if entry.receipt is not None and entry.holder == holder]
        for entry in held:
            entry.receipt = None
        return len(held)

    def end_cancelled(self, now: float) -> None:
        for name, entry in self.entries.items():
            if entry.outcome is None and entry.cancelled and entry.free_from() <= now:
                self.end(name, Outcome.CANCELLED)

    def dead(self) -> set[str]:
        return {name for name, entry in self.entries.items() if entry.outcome in DEAD}
