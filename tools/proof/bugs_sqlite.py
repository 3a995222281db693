"""Bugs in the ledger: SQLite, its files and its locks."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_LEASES = "tests/contract/test_leases.py::"
_FENCE = f"{_LEASES}test_a_lease_that_ran_out_is_claimable_and_the_first_holder_is_fenced_off"
_DEAD = f"{_LEASES}test_what_is_in_flight_names_its_process_and_is_not_in_flight_of_a_dead_one[sqlite]"
_SELECTION = "tests/contract/test_selection.py::"

SQLITE: tuple[Bug, ...] = (
    bug(
        "404-forgets-a-cancellation",
        "a wrong 404 in flight takes the request to cancel along: the re-opened session is stopped",
        "reaper/queues/sqlite/operators.py",
        "                if row.cancel_by is not None:\n",
        "                if row.cancel_by is not None and row.outcome is not Outcome.ALREADY_GONE:\n",
        fails="tests/contract/test_gone.py::"
        "test_what_a_person_cancelled_is_not_sent_again_when_the_list_shows_it_alive[sqlite-1-in flight]",
    ),
    bug(
        "sqlite-normal",
        "SQLite syncs now and then instead of at every commit: a power cut takes what was acknowledged",
        "reaper/queues/sqlite/schema.py",
        'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = NORMAL")',
        fails=(
            "tests/integration/test_sqlite_open.py::test_it_is_opened_for_durability",
            "tests/integration/test_sqlite_sync.py::test_what_is_acknowledged_was_synced_before",
        ),
    ),
    bug(
        "sqlite-goes-on-after-eio",
        "after a failed sync the ledger goes on: later commits succeed falsely",
        "reaper/queues/sqlite/thread.py",
        "if is_fatal(error) and isinstance(error, sqlite3.Error):",
        "if is_fatal(error) and not isinstance(error, sqlite3.Error):",
        fails="tests/integration/test_sqlite_thread.py::test_after_a_failed_sync_everything_is_refused",
    ),
    bug(
        "dead-in-flight-counted",
        "after a kill -9 the figures of the queue show the IDs of the dead process as in flight",
        "reaper/queues/sqlite/audit.py",
        "if in_force and not locks.is_alive(owner):",
        "if not in_force and not locks.is_alive(owner):",
        fails=_DEAD,
    ),
    bug(
        "dead-in-flight-shown",
        "after a kill -9 `show` says that an ID of the dead process is in flight until its lease ends",
        "reaper/queues/sqlite/rows.py",
        "elif lease_until > steady and not is_alive(owner):",
        "elif lease_until <= steady and not is_alive(owner):",
        fails=_DEAD,
    ),
    bug(
        "dead-in-flight-listed",
        "after a kill -9 `list` shows the IDs of the dead process as in flight",
        "reaper/queues/sqlite/strands.sql",
        "WHERE receipt IS NOT NULL AND owner NOT IN (SELECT value FROM json_each(:dead))",
        "WHERE receipt IS NOT NULL",
        fails=_DEAD,
    ),
    bug(
        "selection-stops-at-a-page",
        "a page of a selection in which nothing matches counts as the last: bulk commands miss the rest",
        "reaper/queues/sqlite/selection.sql",
        "WHERE number = :limit OR {MATCHES} ORDER BY number",
        "WHERE {MATCHES} ORDER BY number",
        fails=f"{_SELECTION}test_few_rows_of_one_source_are_found_among_many_of_another[sqlite]",
    ),
    bug(
        "selection-by-time-alone",
        "a page of a selection begins after the due time of the last row: rows of the same instant are left out",
        "reaper/queues/sqlite/selection.sql",
        "({AT}, id) > (:at, :id)",
        "{AT} > :at AND :id = :id",
        fails=f"{_SELECTION}test_rows_of_one_instant_are_complete_over_several_pages[sqlite]",
    ),
    bug(
        "restore-without-the-log",
        "a restore that died between its steps is taken back without the ledger's log: what was committed last is lost",
        "reaper/queues/sqlite/restore.py",
        "os.rename(former + suffix, path + suffix)",
        "os.stat(former + suffix)",
        fails="tests/integration/test_sqlite_restore.py::"
        "test_a_restore_that_died_between_its_steps_is_taken_back_by_the_next[rename-1]",
    ),
    bug(
        "ledger-by-name",
        "the locks of a ledger are named after the name that was given: through a link there is a second set",
        "reaper/queues/sqlite/open.py",
        "self.path = realpath(path)",
        "self.path = abspath(path)",
        fails="tests/integration/test_sqlite_names.py::test_two_names_are_one_ledger[file]",
    ),
    bug(
        "ledger-replaced-unnoticed",
        "a ledger that was replaced under a process is not noticed",
        "reaper/queues/sqlite/watch.py",
        'if _id(found) != self.ids[""]:',
        'if _id(found) != self.ids[""] and False:',
        fails="tests/integration/test_sqlite_files.py::test_a_ledger_that_was_replaced_is_left_alone[renamed over]",
    ),
    bug(
        "deleted-log-unnoticed",
        "a log that was deleted under a process is not noticed: what is committed to it is lost",
        "reaper/queues/sqlite/watch.py",
        "for suffix in (LOG, INDEX):\n            if (known",
        "for suffix in ():\n            if (known",
        fails="tests/integration/test_sqlite_files.py::test_a_deleted_log_is_put_back[suffixes0]",
    ),
    bug(
        "full-disk-ends-the-daemon",
        "a full disk counts as a failure for good: the daemon ends instead of waiting for room",
        "reaper/queues/sqlite/errors.py",
        "    is_outage = lacking is not None or (",
        "    is_outage = False and (",
        fails="tests/integration/test_sqlite_open.py::test_a_full_disk_loses_nothing_and_is_survived",
    ),
    bug(
        "sqlite-no-fence",
        "a late settle is taken although another process holds the ID by now (SQLite)",
        "reaper/queues/sqlite/claims.sql",
        "FROM item WHERE session_id = ? AND receipt = ?\n",
        "FROM item WHERE session_id = ? AND receipt IS NOT NULL AND ? IS NOT NULL\n",
        fails=f"{_FENCE}[sqlite]",
    ),
    bug(
        "sqlite-batch-no-fence",
        "the same where many are settled by one statement",
        "reaper/queues/sqlite/bulk_settle.sql",
        "AND receipt = ended.key AND sends = 1",
        "AND sends = 1",
        fails="tests/contract/test_fences.py::test_late_settles_that_come_together_are_refused_too[sqlite-True]",
    ),
    bug(
        "lease-never-ends",
        "a lease ends by a settle only: what a hung process holds stays held",
        "reaper/queues/sqlite/claims.sql",
        "WHERE receipt IS NOT NULL AND lease_until <= :steady AND :retry\nORDER BY at, chosen LIMIT :limit\n\n"
        "-- name: claimable_of_small_set",
        "WHERE receipt IS NOT NULL AND lease_until <= :steady - 1e9 AND :retry\nORDER BY at, chosen LIMIT :limit\n\n"
        "-- name: claimable_of_small_set",
        fails="tests/contract/test_fences.py::test_a_lease_ends_by_time_alone_whatever_maintains_the_queue[sqlite]",
    ),
    bug(
        "lease-extended",
        "maintenance extends the leases of all workers",
        "reaper/queues/sqlite/claims.py",
        "            released = release_dead(",
        '            connection.execute("UPDATE item SET lease_until = lease_until + 60 WHERE receipt IS NOT NULL")\n'
        "            released = release_dead(",
        fails="tests/contract/test_fences.py::test_a_lease_ends_by_time_alone_whatever_maintains_the_queue[sqlite]",
    ),
    bug(
        "sends-not-counted",
        "a send is counted when it is recorded: a crash hides it",
        "reaper/queues/sqlite/claims.sql",
        "UPDATE item SET sends = sends + 1, owner = :owner,",
        "UPDATE item SET owner = :owner,",
        fails=f"{_LEASES}test_a_send_is_counted_when_claimed[sqlite]",
    ),
    bug(
        "counter-race",
        "the counters grow in a transaction of their own, after the row",
        "reaper/queues/sqlite/claims.py",
        "    if updated.counts:\n        count_each(connection, updated.counts)\n",
        '    if updated.counts:\n        connection.execute("COMMIT")\n        connection.execute("BEGIN IMMEDIATE")\n'
        "        count_each(connection, updated.counts)\n",
        fails="tests/integration/test_sqlite_audit.py::test_an_outcome_and_its_counts_are_one_step",
    ),
    bug(
        "latency-of-the-last-wait",
        "the latency of a retried ID counts from its last back-off only",
        "reaper/queues/sqlite/claims.sql",
        "coalesce(first_due_at, due_at) AS first_due",
        "due_at AS first_due",
        fails="tests/contract/test_history.py::test_it_counts_from_the_first_due_time_whatever_the_back_off[sqlite]",
    ),
    bug(
        "accepted-twice",
        "an ID that is there already is written over, and counted as accepted again",
        "reaper/queues/sqlite/intake.sql",
        "ON CONFLICT (session_id) DO NOTHING\n",
        "ON CONFLICT (session_id) DO UPDATE SET due_at = excluded.due_at\n",
        fails="tests/contract/test_intake.py::test_an_id_is_accepted_once_whatever_its_state[sqlite]",
    ),
    bug(
        "pause-forgotten",
        "the operator's pause is kept in the memory of the process that got it",
        "reaper/queues/sqlite/operators.py",
        "await self.thread.write(lambda connection: write_setting(connection, PAUSE, text))",
        'table = "CREATE TEMP TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)"\n'
        "        await self.thread.write(lambda c: write_setting(c, PAUSE, text) if c.execute(table) else None)",
        fails="tests/contract/test_operators.py::test_the_operators_pause_outlives_its_process_and_ends_by_itself[sqlite]",
    ),
    bug(
        "due-now-by-the-clock",
        "what is due now waits until the clock reaches the time of its acceptance",
        "reaper/queues/sqlite/schema.py",
        'KIND = "(CASE WHEN receipt IS NOT NULL THEN 2 WHEN wait_s IS 0 THEN 0 ELSE 1 END)"',
        'KIND = "(CASE WHEN receipt IS NOT NULL THEN 2 ELSE 1 END)"',
        fails="tests/contract/test_clocks.py::test_what_is_due_now_waits_for_no_clock[sqlite-1.0]",
    ),
    bug(
        "lease-by-the-wall-clock",
        "leases end by the wall clock: a jump forward takes the ID of a living process",
        "reaper/queues/sqlite/clocks.py",
        "        return self._monotonic() + self._ahead_s",
        "        return self.now()",
        fails="tests/contract/test_clocks.py::test_a_jump_forward_ends_no_lease_of_a_living_process[sqlite-3600.0]",
    ),
    bug(
        "long-waits-kept",
        "a retry waits until the clock that was set back reaches its due time again",
        "reaper/queues/sqlite/schema.py",
        'TOO_FAR = f"ifnull(due_at - wait_s > :now + {SLACK_S!r}, 0)"',
        'TOO_FAR = "ifnull(due_at - wait_s > :now + 1e12, 0)"',
        fails="tests/contract/test_clocks.py::test_a_postponement_waits_no_longer_than_its_length[sqlite]",
    ),
    bug(
        "old-reaper-works-on",
        "the migration leaves the names that reapers of the old schema use: one that runs works on",
        "reaper/queues/sqlite/schema.sql",
        "ALTER TABLE item ADD COLUMN first_due_at REAL;\n{history};\n{refusals}",
        "ALTER TABLE item ADD COLUMN first_due_at REAL;\n{history};\n"
        "CREATE VIEW source AS SELECT * FROM intake_source;\nCREATE VIEW owner AS SELECT * FROM process",
        fails="tests/integration/test_sqlite_migration.py::test_statements_of_schema_1_fail_and_say_why",
    ),
    bug(
        "leap-believed",
        "a clock that leaps by years prunes all that was settled",
        "reaper/queues/sqlite/clocks.py",
        "        if at is None or now <= expected + MAX_LEAP_S or passed_s >= MAX_LEAP_S:\n",
        "        if now >= 0:\n",
        fails="tests/integration/test_sqlite_clocks.py::test_a_clock_that_leaps_by_years_prunes_nothing_at_once",
    ),
    bug(
        "second-leap-believed",
        "a clock that leaps once more makes its first leap a day old, and prunes all that was settled",
        "reaper/queues/sqlite/clocks.py",
        "        if doubted_at is not None and steady_at is not None and steady >= steady_at:\n",
        "        if False:\n",
        fails="tests/integration/test_sqlite_clocks.py"
        "::test_a_second_leap_does_not_make_the_first_one_a_day_old[False-60.0]",
    ),
    bug(
        "busy-in-sqlite",
        "a write waits for its turn in SQLite, whose sleeps let another process take every turn",
        "reaper/queues/sqlite/transactions.py",
        '    connection.execute("PRAGMA busy_timeout = 0")\n',
        "    pass\n",
        fails="tests/integration/test_sqlite_turns.py::test_a_writer_gets_its_turn_beside_one_that_hardly_rests",
    ),
    bug(
        "large-kind-guessed",
        "of the rows that wait, the large kind is told as all of them: what is scheduled counts as ready, too",
        "reaper/queues/sqlite/audit.py",
        "        rest = waiting - sum(other.number for other in kinds if other is not kind)\n",
        "        rest = waiting\n",
        fails="tests/integration/test_deep_stats.py::test_a_kind_that_is_not_counted_to_its_end_has_the_rest[sqlite]",
    ),
)
