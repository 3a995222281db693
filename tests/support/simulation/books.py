"""What the oracle is given to judge: rows of the books, and pauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Booked:
    """One ID as the books have it. `outcome` "": open. `due_s`: since the beginning."""

    session_id: str
    outcome: str
    detail: str
    round: int
    sends: int
    due_s: float
    source: str = ""
    added_s: float = 0.0
    """Since the beginning, by the queue's clock: what one sweep chose was added at one instant."""
    attempts: int = 0
    """Sends of this round that were charged to it."""


class Pausing(NamedTuple):
    """A pause that a process says to be in, and when that was first seen, since the beginning."""

    process: str
    reason: str
    since_s: float
