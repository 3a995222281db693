"""A selection reads each index once, also where the planner knows nothing of the table yet."""

from __future__ import annotations

import pytest

from reaper.core.model import State
from reaper.queues.selection import PAGE_ROWS, Selection
from tests.support.eventually import eventually
from tests.support.queues.postgres_roles import opened
from tests.support.queues.postgres_server import session_server

pytestmark = pytest.mark.anyio
COUNT = 20_000
RETRYING = """
    INSERT INTO reaper_session (session_id, due_at, sends, recorded, attempts, history)
    SELECT 'r' || number, now() + interval '1 hour', 1, 1, 1, '[{"at": 1, "duration_s": 1, "status": 503}]'
    FROM generate_series(1, %s) AS number
"""
READ = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE indexrelname = 'reaper_session_retry'"


async def test_a_table_that_was_never_analyzed_is_not_sorted_anew_for_each_page() -> None:
    server = session_server()
    database = server.create_database()
    try:
        async with opened(server.url(database)):
            server.sql("ALTER TABLE reaper_session SET (autovacuum_enabled = false)", database=database)
            server.sql(RETRYING, (COUNT,), database=database)
        server.sql("SELECT pg_stat_reset()", database=database)
        async with opened(server.url(database)) as queue:
            assert len([item async for item in queue.select(Selection(frozenset({State.RETRYING})))]) == COUNT
        # The server counts them when the connection has ended.
        eventually(lambda: (server.sql(READ, database=database)[0][0] or 0) >= COUNT)
        read = server.sql(READ, database=database)[0][0]
        assert read <= COUNT + PAGE_ROWS, f"{read} entries for {COUNT} rows"
    finally:
        server.empty_database(database)
