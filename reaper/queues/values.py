"""What goes into and comes out of a queue's methods: batches, positions, run-set views, results of commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from reaper.core.model import Outcome, SessionId


@dataclass(frozen=True, slots=True)
class NewItem:
    """An ID to be added; `due_at` None means now (by the engine's clock)."""

    session_id: SessionId
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class InvalidLine:
    """A line that was not accepted: where it stands (1-based) and why, with its first bytes made printable."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Position:
    """How far a followed file has been taken in. `offset` is the byte after the last whole line taken."""

    path: str
    device: int
    inode: int
    prefix_bytes: int
    prefix_hash: str
    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read of one source brought; it is taken in whole or not at all, its position with it."""

    source: str
    items: Sequence[NewItem] = ()
    invalid: Sequence[InvalidLine] = ()
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a batch. `duplicates` names at most the first 100 of them."""

    accepted: int
    duplicate: int
    invalid: int
    duplicates: tuple[SessionId, ...] = ()


@dataclass(frozen=True, slots=True)
class SetView:
    """How the run's set stands: what is open, by state, and the outcomes of what is settled.

    `delayed` are IDs never sent in this round and not due yet; `retrying` those sent before and due later.
    """

    ready: int
    delayed: int
    retrying: int
    in_flight: int
    settled: dict[Outcome, int] = field(default_factory=dict)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int]) -> SetView:
        """Return the view of counts by outcome, and by state with a `+` before its name."""
        ready, delayed, retrying, in_flight = (
            counts.get(f"+{state}", 0) for state in ("ready", "delayed", "retrying", "in_flight")
        )
        settled = {Outcome(name): number for name, number in counts.items() if name[0] != "+"}
        return cls(ready, delayed, retrying, in_flight, settled)

    @property
    def open(self) -> int:
        return self.ready + self.delayed + self.retrying + self.in_flight


class CancelResult(StrEnum):
    """What `cancel` did: done at once, noted on an ID in flight (it applies unless the answer is final), or not."""

    DONE = "done"
    REQUESTED = "requested"
    SETTLED = "settled"
    UNKNOWN = "unknown"


class PostponeResult(StrEnum):
    """What `postpone` did: done, or why not."""

    DONE = "done"
    IN_FLIGHT = "in_flight"
    SETTLED = "settled"
    UNKNOWN = "unknown"
