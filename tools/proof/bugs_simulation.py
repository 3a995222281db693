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
        "of several rotations between two polls only one file is read",
        "reaper/intake/rotated.py",
        "            self.mark_read(tail)\n            self.keep(tail)\n",
        "            self.mark_read(tail)\n            self.keep(tail)\n            return is_found\n",
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
        "                (throttle or self.throttle).calm()\n",
        "                self.throttle = Throttle()\n",
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
    *("accepted-twice", "cancel-wins-over-an-answer", "pause-forgotten"),
    *("lease-by-the-wall-clock", "long-waits-kept", "leap-believed", "second-leap-believed"),
    *("settled-before-the-delete", "identity-skipped"),
    *("account-not-compared", "target-not-compared-first", "protection-of-named-ids", "401-charged"),
    *(
        "404-forgets-a-cancellation",
        "sent-after-the-wait",
        "silence-of-a-host-forgotten",
        "sweep-heeds-late",
        "time-ahead-hides-bookings",
        "exhausted-by-an-outage",
        "former-client-used",
        "allowance-without-end",
        "alive-and-not-reopened",
        "any-404-is-gone",
    ),
    *("jitter-subtracted", "drain-cancels", "outcome-dropped", "guard-off-by-one", "held-sweep-is-cut", "own-clock"),
    *("repeated-signal", "no-total-deadline", "spool-moved-first", "generation-skipped"),
)
"""The bugs of `make prove` on behaviour that the simulation models: a kept plan or a seed has to find each."""

HIDDEN = {
    "sqlite-batch-no-fence": "a second claim counts a second send, which the statement refuses too",
    "bound-off-by-one": "the claim loop dispatches no more than the bound",
    "counter-race": "a process dies before or after a transaction in the model, not between two",
    "due-now-by-the-clock": "a second rule ends such a wait 60 s later, and nobody judges a wait so short",
    "batches-without-bound": "it costs time, which the model does not count",
    "time-of-the-first-attempt": "the batch is written by the next attempt",
    "one-exception-ends-the-poller": "no model raises an error that nobody foresaw",
    "unasked-answer-taken": "the model's connections have no buffer in a kernel",
    "position-runs-ahead": "the files of the model are read in one batch",
    "position-after-rewrite": "a file that is written anew begins with other lines in the model",
    "first-look-unguarded": "the model's queue does not go away between its opening and the first look",
    "check-outlasts-pause": "the pool asks once more, right before it writes",
    "reload-undone": "with `api.verify` the identity read compares the address once more, before anything is sent",
    "alive-and-believed-in-the-end": "the next list takes it back, and the model's gateways get their routes back",
}
"""Bugs on modelled behaviour that no seed shows, each with the reason. The tests that `make prove` names see them."""
