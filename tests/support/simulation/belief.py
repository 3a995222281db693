"""The oracle's rules of what an answer may be taken for: which 401 is charged to an ID, how many 404s are believed."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.simulation.plan import LASTING, has_stuck

if TYPE_CHECKING:
    from tests.support.simulation.books import Booked
    from tests.support.simulation.world import World

ALLOWED_FIRST, GROWTH, ALLOWED_MOST = 5, 4, 500
"""Answers of 404 that a reaper believes before its first read of the list, their factor with each, and their end."""
READ_WITHIN_S = 4.0
"""An answer that the API gives so long after the send arrives before the deadline of 5 s."""
SPOIL_ANSWERS = frozenset({"lost_answer", "half_answer", "drip", "suspend", "suspend_host"})
READ_TAKES_S = 5.5
"""A read of the list was begun so long before its answer at most: what came after that, the next one confirms."""
KNOWN_WITHIN_S = 0.1
"""An answer that nothing spoils has arrived by then."""
FAILURES_OF_OUTAGE, FAILURES_OF_NEXT_OUTAGE = 5, 20
"""Failures in a row after which a process takes them for an outage, and charges none; and after a pause that ended,
until the first final answer."""
NO_CONNECTION = frozenset({"refused", "black_hole"})
TROUBLE = frozenset(LASTING)
LATE_SENDS = 16
"""After more sends a 404 is believed without a list, and a failure for which no read comes within its lease."""


class Belief:
    """Judges one world. `gone` and `exhausted` are called with each line that books a session so."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._believed: Counter[tuple[str, int, int]] = Counter()
        """Unconfirmed 404s booked, by process and by how many proofs and failed reads it had before."""

    def gone(self, process: str, session_id: str) -> None:
        """Judge a booking: beyond the allowance no 404 is believed before a list confirms it."""
        api, width = self._world.api, self._world.plan.concurrency
        answers = [one for one in api.told_of(session_id) if one.process == process]
        if not answers or len(answers) > LATE_SENDS:
            return
        answered_s = answers[-1].at_s
        if answers[-1].fault == "gateway_html":
            self._world.breaks(f"{process} believes that {session_id} is gone by a page in HTML")
        reads, proofs = api.lists_read.get(process, []), api.proofs.get(process, [])
        if reads and reads[-1] >= answered_s:
            return
        failed = [at_s for at_s in self._failed_reads(process) if at_s < answered_s]
        grown = self._growths(process, failed[-1] if failed else 0.0, answered_s)
        before = sum(1 for at_s in proofs if at_s < answered_s), len(failed)
        self._believed[process, *before] += 1
        # What was on its way during a proof counts before it here, and after it there.
        most = min(ALLOWED_FIRST * GROWTH**grown, ALLOWED_MOST) + width
        if self._believed[process, *before] > most:
            self._world.breaks(f"{process} believes more than {most} answers of 404 in a row without a list")

    def _growths(self, process: str, since_s: float, until_s: float) -> int:
        """Return how many reads between two times made the allowance grow: those that had answers to confirm."""
        api = self._world.api
        reads, gone = api.lists_read.get(process, []), api.gone.get(process, [])
        begun_s = [0.0, *reads]
        return sum(
            1
            for last_s, at_s in pairwise(begun_s)
            if since_s < at_s < until_s and bisect_left(gone, last_s - READ_TAKES_S) < bisect_left(gone, at_s)
        )

    def _failed_reads(self, process: str) -> list[float]:
        """Return when a process knew of each failed read, after which the allowance is the first one again."""
        if self._world.plan.discovers:  # the reads of sweeps are others
            return []
        known = (at_s + KNOWN_WITHIN_S for at_s in self._world.api.lists_failed.get(process, ()))
        return [at_s for at_s in known if not self._world.overlapping(SPOIL_ANSWERS, at_s - 1, at_s + 6)]

    def exhausted(self, process: str, session_id: str) -> None:
        """Judge a booking: something has shown, since the ID's last failures, that it is not the API that fails."""
        network = self._world.network
        sent_s = sorted(at_s for at_s, _, each in (*network.sent, *network.checked) if each == session_id)
        if not sent_s or len(sent_s) > LATE_SENDS:
            return
        api, since_s = self._world.api, sent_s[-1]
        is_other_final = any(
            told.process == process
            and told.session_id != session_id
            and told.at_s > since_s
            and 200 <= told.status < 500
            for told in reversed(api.told)
        )
        read_s = api.lists_read.get(process, [])
        if not is_other_final and (not read_s or read_s[-1] < sent_s[-1]):
            self._world.breaks(f"{process} has exhausted {session_id}, and nothing shows that the API worked")

    def outage_charged(self, row: Booked, sends: int) -> str:
        """Return what is wrong where an outage of the whole API was charged to an ID, beyond its first failures.

        `sends`: its DELETEs, and the checks before them, each of which may have failed in the place of one.
        """
        failed: Counter[tuple[str, float]] = Counter()
        api = self._world.api
        for told in (*api.told_of(row.session_id), *api.checks.get(row.session_id, ())):
            if told.fault == "unavailable":
                outage_s = min(one.at_s for one in self._world.overlapping({"unavailable"}, told.at_s, told.at_s))
                failed[told.process, outage_s] += 1
        own = sends - failed.total()
        most = own + sum(min(count, self._failures_of(*one)) for one, count in failed.items())
        return "" if row.attempts <= most else f"{row.attempts} sends were charged: {most} could be, beside an outage"

    def _failures_of(self, process: str, outage_s: float) -> int:
        """Return how many failures in a row an outage takes: more after another trouble, until a final answer."""
        told = self._world.api.told
        final_s = [
            one.at_s for one in told if one.process == process and one.at_s < outage_s and 200 <= one.status < 500
        ]
        is_troubled = self._world.overlapping(TROUBLE, max(final_s, default=0.0), outage_s - 1e-6)
        return FAILURES_OF_NEXT_OUTAGE if is_troubled or has_stuck(self._world.plan) else FAILURES_OF_OUTAGE

    def overcharged(self, row: Booked, sent_s: list[float]) -> str:
        """Return what is wrong where a 401 to the first send of an ID was charged to it; `sent_s`: its sends."""
        answers = self._world.api.told_of(row.session_id)
        if not answers or answers[0].status != 401:
            return ""
        answered_s = answers[0].at_s
        # An answer that comes late, or not whole, is none to reaper. A send that waited for a connection has less time.
        overlapping = self._world.overlapping
        is_whole = not overlapping(SPOIL_ANSWERS, answered_s - 1, answered_s + 1)
        is_prompt = answered_s < sent_s[0] + READ_WITHIN_S and not overlapping(NO_CONNECTION, sent_s[0] - 5, answered_s)
        is_read = is_whole and is_prompt
        first_is_refused = is_read and (len(sent_s) < 2 or answered_s < sent_s[1])
        if row.round > 1 or row.sends > len(sent_s) or not first_is_refused or row.attempts < len(sent_s):
            return ""
        return f"{row.attempts} of {len(sent_s)} sends were charged, and the first was answered by 401"
