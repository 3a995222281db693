"""Bugs in the queues: what makes an ID be lost, held twice, settled twice or miscounted."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_LEASES = "tests/contract/test_leases.py::"
_FENCE = f"{_LEASES}test_a_lease_that_ran_out_is_claimable_and_the_first_holder_is_fenced_off"

QUEUES: tuple[Bug, ...] = (
    bug(
        "postgres-cancel-by-an-old-snapshot",
        "a cancellation that waits for a row judges it by what it was before (PostgreSQL)",
        "reaper/queues/postgres/operators.sql",
        "(state = 'in_flight' OR standing.outcome = 'already_gone')",
        "(state = 'in_flight' OR s.outcome = 'already_gone')",
        fails="tests/integration/test_postgres_cancel.py::test_a_cancellation_that_waits_for_the_row_is_kept[apply]",
    ),
    bug(
        "postgres-404-forgets-a-cancellation",
        "a wrong 404 in flight takes the request to cancel along: the re-opened session is stopped (PostgreSQL)",
        "reaper/queues/postgres/claims.sql",
        "cancel_by = CASE WHEN a.outcome = 'already_gone' THEN s.cancel_by END",
        "cancel_by = CASE WHEN a.outcome = 'stopped' THEN s.cancel_by END",
        fails="tests/contract/test_gone.py::"
        "test_what_a_person_cancelled_is_not_sent_again_when_the_list_shows_it_alive[postgres-1-in flight]",
    ),
    bug(
        "redis-404-forgets-a-cancellation",
        "a wrong 404 in flight takes the request to cancel along: the re-opened session is stopped (Redis)",
        "reaper/queues/redis/scripts/apply.lua",
        "if out ~= 'already_gone' then call",
        "if out ~= '' then call",
        fails="tests/contract/test_gone.py::"
        "test_what_a_person_cancelled_is_not_sent_again_when_the_list_shows_it_alive[redis-1-in flight]",
    ),
    bug(
        "selection-sorted-for-each-page",
        "PostgreSQL sorts a table that was just filled anew for each page of it",
        "reaper/queues/postgres/selection.sql",
        "set_config('enable_sort', 'off', true)",
        "set_config('enable_sort', 'on', true)",
        fails="tests/integration/test_postgres_selection.py::"
        "test_a_table_that_was_never_analyzed_is_not_sorted_anew_for_each_page",
    ),
    bug(
        "ghost-forgotten-by-a-postponement",
        "a postponement replaces why reaper opened an ID again: a ghost is re-opened for ever",
        "reaper/queues/statements.py",
        "by = '{REAPER}' AND",
        "by = 'nobody' AND",
        fails="tests/contract/test_operators.py::"
        "test_a_postponement_keeps_why_reaper_opened_an_id_again_and_replaces_an_operators_word[sqlite]",
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
        "postgres-inherits-isolation",
        "transactions inherit their isolation level from the database or the role",
        "reaper/queues/postgres/session.py",
        'f"BEGIN ISOLATION LEVEL READ COMMITTED{mode} NOT DEFERRABLE"',
        'f"BEGIN{mode}"',
        fails="tests/integration/test_postgres_settings.py::test_each_transaction_has_its_own_settings",
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
        "cancel-wins-over-an-answer",
        "a session that was stopped is recorded as cancelled",
        "reaper/queues/accounting.py",
        "if claimed.cancel_requested and outcome not in BY_ANSWER:",
        "if claimed.cancel_requested:",
        fails="tests/contract/test_cancel.py::test_a_final_answer_wins_over_a_cancellation[sqlite-stopped-204]",
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
        "        accepted, duplicate, postponed, *names = await self.connection.run(_ADD, *values)\n"
        "        if batch.position is not None:\n"
        "            await self.store.save(batch.position)"
        "  # after the rows: a crash in between reads some lines twice\n",
        "        if batch.position is not None:\n"
        "            await self.store.save(batch.position)\n"
        "        accepted, duplicate, postponed, *names = await self.connection.run(_ADD, *values)\n",
        fails="tests/integration/test_redis_queue.py::test_a_position_is_written_after_its_rows",
    ),
    bug(
        "old-owner-accepted",
        "the tables take the claims of a reaper of the old schema (PostgreSQL)",
        "reaper/queues/postgres/schema.sql",
        "            CHECK (owner IS NULL OR owner LIKE '2-%%' OR lease_until <= %L)",
        "            CHECK (owner IS NULL OR owner LIKE '%%' OR lease_until <= %L)",
        fails="tests/integration/test_postgres_schema.py::test_a_claim_of_the_old_schema_is_refused_and_says_why",
    ),
)
