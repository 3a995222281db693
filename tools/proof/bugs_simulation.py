"""Bugs that need a coincidence: the simulation has to find a seed for each (`python -m tools.proof.coincidences`)."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

NO_TEST = ()
"""No test is named: a seed finds it, whichever."""

COINCIDENCES: tuple[Bug, ...] = (
    bug(
        "lease-by-wall-clock",
        "leases go by the wall clock: when it is set forward, another reaper takes what is in flight",
        "reaper/queues/sqlite/clocks.py",
        "        return self._monotonic() + self._ahead_s\n",
        "        return self.now()\n",
        fails=NO_TEST,
    ),
    bug(
        "late-401-counts",
        "a late 401 to the token of before a rotation pauses the new one",
        "reaper/core/gate.py",
        "                if generation not in (None, self.generation):\n                    return False",
        "                if False:\n                    return False",
        fails=NO_TEST,
    ),
    bug(
        "comparison-gap",
        "what is booked as gone while the list is read is compared with no list",
        "reaper/worker/comparison.py",
        "        self._since, self._since_at = began, until\n",
        "        self._since, self._since_at = self.now(), self.clock()\n",
        fails=NO_TEST,
    ),
    bug(
        "one-alone-stays-gone",
        "one session alone that the list shows alive is not re-opened",
        "reaper/worker/comparison.py",
        "        if ids:\n            await self._reopen(",
        "        if len(ids) > 1:\n            await self._reopen(",
        fails=NO_TEST,
    ),
    bug(
        "generation-forgotten",
        "of several rotations between two polls the oldest file is not read",
        "reaper/intake/rotated.py",
        "            new = next((o for o in found if",
        "            new = next((o for o in found[1:] if",
        fails=NO_TEST,
    ),
    bug(
        "stale-receipt-taken",
        "a process that was suspended settles what another one settled meanwhile",
        "reaper/queues/sqlite/claims.sql",
        "FROM item WHERE session_id = ? AND receipt = ?",
        "FROM item WHERE session_id = ? AND ? > ''",
        fails=NO_TEST,
    ),
    bug(
        "protection-read-once",
        "protect.file is read at the start and not when it changes",
        "reaper/app/startup.py",
        "        every(CHECKED_S, time.monotonic),\n",
        "        every(1e9, time.monotonic),\n",
        fails=NO_TEST,
    ),
    bug(
        "expiry-by-own-clock",
        "discovery judges by this machine's clock: set forward, it stops sessions that are not over",
        "reaper/intake/discovery/sweep.py",
        "        return jumped or reading.server_at\n",
        "        return jumped or at\n",
        fails=NO_TEST,
    ),
    bug(
        "silence-cut-short",
        "a 2xx that was under way ends the silence that a 429 asked for",
        "reaper/core/gate.py",
        "                self._throttle.calm()\n",
        "                self._throttle = Throttle()\n",
        fails=NO_TEST,
    ),
    bug(
        "position-before-rows",
        "a file of the spool counts as read before its IDs are durable: an outage of the queue loses them",
        "reaper/intake/spool_file.py",
        "            if parsed is not None:\n                await self._adder.add_lines(self.source, parsed, report)\n"
        "            if is_last:",
        "            self.position = tail.position(self.source, tail.lines.offset, tail.lines.line)\n"
        "            if parsed is not None:\n                await self._adder.add_lines(self.source, parsed, report)\n"
        "            if is_last:",
        fails=NO_TEST,
    ),
    bug(
        "outage-charged",
        "failures in a row are not counted: an outage of the API makes dead letters of its backlog",
        "reaper/core/streaks.py",
        "        self._failures += 1\n",
        "        self._failures = 1\n",
        fails=NO_TEST,
    ),
    bug(
        "cancelled-in-flight-goes-on",
        "an ID that is cancelled while it is in flight is sent again after a 502",
        "reaper/queues/accounting.py",
        "    if claimed.cancel_requested and outcome not in BY_ANSWER:\n",
        "    if claimed.cancel_requested and outcome is not None and outcome not in BY_ANSWER:\n",
        fails=NO_TEST,
    ),
)

MODELLED = (
    *("sqlite-no-fence", "lease-never-ends", "lease-extended", "sends-not-counted"),
    *("accepted-twice", "cancel-wins-over-an-answer", "pause-forgotten", "due-now-by-the-clock"),
    *("lease-by-the-wall-clock", "long-waits-kept", "leap-believed", "settled-before-the-delete", "identity-skipped"),
    *("account-not-compared", "target-not-compared-first", "reload-undone", "protection-of-named-ids", "401-charged"),
    *(
        "404-forgets-a-cancellation",
        "sent-after-the-wait",
        "silence-of-a-host-forgotten",
        "sweep-heeds-late",
        "time-ahead-hides-bookings",
        "allowance-without-end",
        "alive-and-not-reopened",
        "alive-and-believed-in-the-end",
        "any-404-is-gone",
    ),
    *("jitter-subtracted", "drain-cancels", "outcome-dropped", "batches-without-bound"),
    *("time-of-the-first-attempt", "guard-off-by-one", "held-sweep-is-cut", "own-clock", "first-look-unguarded"),
    *("repeated-signal", "no-total-deadline", "position-runs-ahead", "spool-moved-first", "generation-skipped"),
    *("position-after-rewrite", "one-exception-ends-the-poller", "check-outlasts-pause", "unasked-answer-taken"),
)
"""The bugs of `make prove` on behaviour that the simulation models.

Not among them, as no seed showed them and a second guard hides each: `sqlite-batch-no-fence` (a second claim counts
a second send, which the statement refuses too), `bound-off-by-one` (the claim loop dispatches no more than the bound)
and `counter-race` (a process dies before or after a transaction here, not between two). The tests that `make prove`
names for them see them.
"""
