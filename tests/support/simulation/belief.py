"""The oracle's rules of what an answer may be taken for: which 401 is charged to an ID, how many 404s are believed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.simulation.oracle import Booked
    from tests.support.simulation.world import World

ALLOWED_FIRST, GROWTH, ALLOWED_MOST = 5, 4, 500
"""Answers of 404 that a reaper believes before its first read of the list, their factor with each, and their end."""
READ_WITHIN_S = 4.0
"""An answer that the API gives so long after the send arrives before the deadline of 5 s."""
SPOIL_ANSWERS = frozenset({"lost_answer", "half_answer", "drip", "suspend", "suspend_host"})
LATE_SENDS = 16
"""After more sends a 404 is believed without a list."""


class Belief:
    """Judges one world. `gone` is called with each line that books a session as already gone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._believed: Counter[tuple[str, int]] = Counter()
        """Unconfirmed 404s booked, by process and by how many proofs it had when they were answered."""

    def gone(self, process: str, session_id: str) -> None:
        """Judge a booking: beyond the allowance no 404 is believed before a list confirms it."""
        api, width = self._world.api, self._world.plan.concurrency
        answers = [one for one in api.told_of(session_id) if one.process == process]
        if not answers or len(answers) > LATE_SENDS:
            return
        answered_s = answers[-1].at_s
        reads, proofs = api.lists_read.get(process, []), api.proofs.get(process, [])
        if reads and reads[-1] >= answered_s:
            return
        grown = sum(1 for at_s in reads if at_s < answered_s)
        before = sum(1 for at_s in proofs if at_s < answered_s)
        self._believed[process, before] += 1
        # What was on its way during a proof counts before it here, and after it there.
        most = min(ALLOWED_FIRST * GROWTH**grown, ALLOWED_MOST) + ALLOWED_FIRST + width
        if self._believed[process, before] > most:
            self._world.breaks(f"{process} believes more than {most} answers of 404 in a row without a list")

    def overcharged(self, row: Booked, sent_s: list[float]) -> str:
        """Return what is wrong where a 401 to the first send of an ID was charged to it; `sent_s`: its sends."""
        answers = self._world.api.told_of(row.session_id)
        if not answers or answers[0].status != 401:
            return ""
        answered_s = answers[0].at_s
        # An answer that comes late, or not whole, is none to reaper.
        is_read = answered_s < sent_s[0] + READ_WITHIN_S and not self._world.overlapping(
            SPOIL_ANSWERS, answered_s - 1, answered_s + 1
        )
        first_is_refused = is_read and (len(sent_s) < 2 or answered_s < sent_s[1])
        if row.round > 1 or row.sends > len(sent_s) or not first_is_refused or row.attempts < len(sent_s):
            return ""
        return f"{row.attempts} of {len(sent_s)} sends were charged, and the first was answered by 401"
