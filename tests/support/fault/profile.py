"""How much the fault tests do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is done; `seed` makes a run repeatable as far as processes allow."""

    ids: int
    engine_kills: int
    kills: int
    """SIGKILLs at random moments."""
    every: int
    """Of the system calls that write, each so manieth is a crash point."""
    signals: int
    """SIGTERMs at random moments."""
    cuts: int
    """Power cuts."""
    requests: int
    """Requests while 30 % of them fail."""
    lines: int
    """Hostile input lines."""
    flips: int
    """Ledgers with bits flipped."""
    seed: int = 1


PROFILES = {
    "short": Profile(800, 1, kills=70, every=20, signals=14, cuts=100, requests=2_000, lines=20_000, flips=12),
    "long": Profile(
        20_000, 100, kills=2_200, every=1, signals=300, cuts=2_000, requests=200_000, lines=1_000_000, flips=1_000
    ),
}
