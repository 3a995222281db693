"""Settings that a database or a role may have, each against what a queue needs of its transactions."""

from __future__ import annotations

import functools

from tests.support.queues.postgres_server import PASSWORD, PostgresServer

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "statement_timeout": "250ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "50ms",
    "synchronous_commit": "off",
    "search_path": "nowhere",
    "session_replication_role": "replica",
    "row_security": "off",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "extra_float_digits": "-15",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
}
ROLE = "hostile"


def hostile_role(server: PostgresServer, database: str) -> str:
    """Return the URL of a database for a role that inherits all of them."""
    _make_role(server)
    return server.url(database, user=ROLE)


@functools.cache
def _make_role(server: PostgresServer) -> None:
    server.sql(f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    for name, value in HOSTILE.items():
        server.sql(f"ALTER ROLE {ROLE} SET {name} = '{value}'")
