"""The refusal storm: many refusals in a row are the token's or a firewall's, until trials show otherwise. Pure.

A refusal is the API's own 4xx to a DELETE, except 404 and 410: 403, 400, 409, 422 and the like (docs/concepts.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from reaper.core.model import Outcome

REFUSED = (Outcome.FORBIDDEN, Outcome.REJECTED)
"""The outcomes of the API's own 4xx, 404 and 410 aside."""
REFUSALS_TO_PAUSE = 20
"""Refusals in a row, with no other final answer between, that open `forbidden_storm` (docs/concepts.md)."""
TRIALS = 10
"""Trials that are refused likewise show that the refusals are the IDs' own (docs/concepts.md)."""


@dataclass(slots=True)
class Storm:
    """Counts the refusals in a row, and the trials while the pause holds."""

    refusals: int = 0
    trials: int = 0
    is_over: bool = False
    """Trials showed that the refusals are the IDs' own: no pause until an answer of another kind."""

    def refuse(self) -> bool:
        """Count a refusal outside the pause; return whether the pause begins."""
        self.refusals += 1
        if self.is_over or self.refusals < REFUSALS_TO_PAUSE:
            return False
        self.trials = 0
        return True

    def refuse_trial(self) -> bool:
        """Count a trial that was refused; return whether the pause ends because of it."""
        self.trials += 1
        self.is_over = self.trials >= TRIALS
        return self.is_over

    def calm(self) -> None:
        """Take in a final answer of another kind: the count starts anew."""
        self.refusals, self.is_over = 0, False
