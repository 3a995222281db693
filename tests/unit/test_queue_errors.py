"""What an engine's error means, in one sentence: what to do about it, and whether it may pass by itself."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.queues.postgres import errors as postgres_errors
from reaper.queues.sqlite import errors as sqlite_errors


@pytest.mark.parametrize(
    ("error", "passes", "says"),
    [
        (psycopg.errors.DiskFull("could not extend file"), True, "the disk of PG is full: make room"),
        (psycopg.errors.TooManyConnections("sorry"), True, "no connection to spare"),
        (psycopg.errors.InvalidAuthorizationSpecification("no"), True, "refuses the user of queue.url"),
        (psycopg.OperationalError('FATAL:  role "nobody" does not exist'), True, "refuses the user of queue.url"),
        (psycopg.OperationalError('FATAL:  database "none" does not exist'), False, "is not there: create it"),
        (psycopg.errors.CheckViolation("no such row"), False, "cannot be used: no such row (23514)"),
        (OSError("the wire broke"), True, "cannot be used: the wire broke"),
    ],
)
def test_postgres(error: psycopg.Error | OSError, passes: bool, says: str) -> None:
    translation = postgres_errors.translated(error, "PG")
    assert isinstance(translation, QueueUnavailableError) is passes
    assert says in str(translation)
    assert translation.__cause__ is error


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (sqlite3.SQLITE_READONLY, "cannot be written"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "cannot be written"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened (why): check the rights"),
        (sqlite3.SQLITE_PERM, "cannot be opened"),
        (sqlite3.SQLITE_FULL, "is full: make room"),
        (sqlite3.SQLITE_MISUSE, "cannot be used: why"),
    ],
)
def test_sqlite(code: int, says: str) -> None:
    error = sqlite3.OperationalError("why")
    error.sqlite_errorcode = code
    translation = sqlite_errors.translated(error, "/the.db")
    assert says in str(translation)
    assert "/the.db" in str(translation)
    assert translation.__cause__ is error
