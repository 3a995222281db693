"""Answers of one kind in a row, by which the gate begins its automatic pauses (docs/concepts.md). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from reaper.core.model import PauseReason, SessionId
from reaper.core.storm import REFUSALS_TO_PAUSE, Storm
from reaper.core.target import CHECK_ADDRESS

FAILURES_TO_PAUSE = 5
"""Failures in a row, with no final answer between, that open `api_down` (docs/concepts.md)."""
FAILURES_TO_PAUSE_AGAIN = 20
"""The same after an outage, until the first final answer (docs/concepts.md)."""
FOREIGN_IDS_TO_PAUSE = 5
"""Different IDs with a foreign answer, with no own answer between, that open `wrong_target` (docs/concepts.md)."""

RECOVERY_SHARE = 8
"""After an outage, one part in this many of the bound is admitted (docs/concepts.md)."""


@dataclass(slots=True)
class Streaks:
    """Counts failures, foreign answers and refusals. A method that counts returns the detail of the pause to begin."""

    is_recovering: bool = False
    """From the end of `api_down` until the first final answer."""
    storm: Storm = field(default_factory=Storm)
    is_one_sided: bool = False
    """`wrong_target` holds because the list shows sessions alive that a DELETE called gone."""
    _failures: int = 0
    """Failures in a row, with no final answer between."""
    _foreign: set[SessionId] = field(default_factory=set)
    """IDs with a foreign answer since the last own answer."""

    def own(self) -> None:
        """Take in an answer of the API itself."""
        self._foreign.clear()

    def final(self) -> None:
        """Take in a final answer."""
        self._failures, self.is_recovering = 0, False

    def fail(self, what: str) -> str | None:
        """Count a failure; `what` names it."""
        self._failures += 1
        if self._failures < (FAILURES_TO_PAUSE_AGAIN if self.is_recovering else FAILURES_TO_PAUSE):
            return None
        self.is_recovering = False
        return f"{self._failures} failures in a row, most recently {what}"

    def meet_stranger(self, session_id: SessionId, answer: str) -> str | None:
        """Count a foreign answer."""
        if len(self._foreign) < FOREIGN_IDS_TO_PAUSE:
            self._foreign.add(session_id)
        if len(self._foreign) < FOREIGN_IDS_TO_PAUSE:
            return None
        return f"answers that are not the API's, the last a {answer}: {CHECK_ADDRESS}"

    def refuse(self, status: int) -> str | None:
        """Count a refusal outside the storm."""
        return f"{REFUSALS_TO_PAUSE} refusals in a row, the last a {status}" if self.storm.refuse() else None

    def forget(self, reason: PauseReason) -> None:
        """Begin anew after a pause ended."""
        if reason is PauseReason.WRONG_TARGET:
            self._foreign.clear()
            self.is_one_sided = False
        elif reason is PauseReason.FORBIDDEN_STORM:
            self.storm.refusals = 0
        elif reason is PauseReason.API_DOWN:
            self._failures = 0

    def change_host(self) -> None:
        """Forget the failures and the foreign answers of another host."""
        self._failures, self._foreign = 0, set()
