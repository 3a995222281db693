"""Bugs in the queues: what makes an ID be lost, held twice, settled twice or miscounted."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_LEASES = "tests/contract/test_leases.py::"
_FENCE = f"{_LEASES}test_a_lease_that_ran_out_is_claimable_and_the_first_holder_is_fenced_off"
_OUTCOMES = "tests/contract/test_outcomes.py::"

QUEUES: tuple[Bug, ...] = (
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
        """AND receipt = json_extract(ended.value, '$[0]')
    AND sends = 1""",
        "AND sends = 1",
        fails="tests/contract/test_fences.py::test_late_settles_that_come_together_are_refused_too[sqlite-True]",
    ),
    bug(
        "redis-no-fence",
        "a late settle is taken although another process holds the ID by now (Redis)",
        "reaper/queues/redis/scripts/apply.lua",
        "  if r[1] == receipt then\n    good = 1\n",
        "  if r[1] then\n    good = 1\n",
        fails=f"{_FENCE}[redis]",
    ),
    bug(
        "postgres-no-fence",
        "a late settle is taken although another process holds the ID by now (PostgreSQL)",
        "reaper/queues/postgres/claims.sql",
        "FROM asked a WHERE s.session_id = a.session_id AND s.receipt = a.receipt\n",
        "FROM asked a WHERE s.session_id = a.session_id AND s.receipt IS NOT NULL\n",
        fails=f"{_FENCE}[postgres]",
    ),
    bug(
        "lease-never-ends",
        "a lease ends by a settle only: what a hung process holds stays held",
        "reaper/queues/sqlite/claims.sql",
        "outcome IS NULL AND (sends > 0) = :retry",
        "outcome IS NULL AND receipt IS NULL AND (sends > 0) = :retry",
        fails="tests/contract/test_fences.py::test_a_lease_ends_by_time_alone_whatever_maintains_the_queue[sqlite]",
    ),
    bug(
        "lease-extended",
        "maintenance extends the leases of all workers",
        "reaper/queues/sqlite/claims.py",
        "            now = self.now()\n            released =",
        "            now = self.now()\n"
        '            connection.execute("UPDATE item SET lease_until = lease_until + 60 WHERE receipt IS NOT NULL")\n'
        "            released =",
        fails="tests/contract/test_fences.py::test_a_lease_ends_by_time_alone_whatever_maintains_the_queue[sqlite]",
    ),
    bug(
        "two-holders",
        "two processes that claim at the same time get the same ID (PostgreSQL)",
        "reaper/queues/postgres/claims.sql",
        "ORDER BY {AT}, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED\n",
        "ORDER BY {AT}, id LIMIT %(limit)s\n",
        fails="tests/integration/test_postgres_faults.py::test_a_claim_that_is_not_committed_yet_counts_as_one",
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
        "accepted-twice",
        "an ID that is there already is written over, and counted as accepted again",
        "reaper/queues/sqlite/intake.sql",
        "ON CONFLICT (session_id) DO NOTHING\n",
        "ON CONFLICT (session_id) DO UPDATE SET due_at = excluded.due_at\n",
        fails="tests/contract/test_intake.py::test_an_id_is_accepted_once_whatever_its_state[sqlite]",
    ),
    bug(
        "cancel-wins-over-an-answer",
        "a session that was stopped is recorded as cancelled",
        "reaper/queues/accounting.py",
        "if claimed.cancel_requested and outcome not in BY_ANSWER:",
        "if claimed.cancel_requested:",
        fails="tests/contract/test_operators.py::test_a_final_answer_wins_over_a_cancellation[sqlite-stopped-204]",
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
        "group-from-the-end",
        "the inbox's consumer group begins at the newest entry: what came before it is never read",
        "reaper/queues/redis/scripts/inbox_read.lua",
        "call('XGROUP', 'CREATE', key, 'reaper', '0', 'MKSTREAM')",
        "call('XGROUP', 'CREATE', key, 'reaper', '$', 'MKSTREAM')",
        fails="tests/integration/test_redis_inbox.py::test_what_producers_added_before_any_reaper_began_is_taken_in",
    ),
    bug(
        "inbox-maxlen",
        "the inbox is kept short by MAXLEN: what was not taken in yet is dropped",
        "reaper/queues/redis/scripts/inbox_take.lua",
        "    call('XDEL', key, ARGV[i])\n",
        "    call('XTRIM', key, 'MAXLEN', 0)\n",
        fails="tests/integration/test_redis_inbox.py::test_more_entries_than_one_portion_are_taken_in",
    ),
    bug(
        "deleted-entries-ignored",
        "entries that the engine dropped before they were taken in are passed over in silence",
        "reaper/queues/redis/scripts/inbox_read.lua",
        "  lost = lost + #(answer[3] or {})\n",
        "",
        fails="tests/integration/test_redis_inbox.py::"
        "test_what_a_dead_reader_left_is_taken_in_and_what_was_deleted_is_counted_as_lost",
    ),
    bug(
        "offset-before-rows",
        "the position of a followed file is kept before its rows (Redis)",
        "reaper/queues/redis/intake.py",
        "        accepted, duplicate, *names = await self.connection.run(_ADD, *values)\n"
        "        if batch.position is not None:\n"
        "            await self.store.save(batch.position)"
        "  # after the rows: a crash in between reads some lines twice\n",
        "        if batch.position is not None:\n"
        "            await self.store.save(batch.position)\n"
        "        accepted, duplicate, *names = await self.connection.run(_ADD, *values)\n",
        fails="tests/integration/test_redis_queue.py::test_a_position_is_written_after_its_rows",
    ),
)
