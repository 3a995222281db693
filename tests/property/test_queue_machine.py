"""The state machine of a queue, on the in-memory queue, a ledger and PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings

from tests.support.queues.harness import Harness, SqliteHarness
from tests.support.queues.postgres_harness import PostgresHarness
from tests.support.queues.queue_machine import QueueMachine


class SqliteMachine(QueueMachine):
    """The same on a ledger."""

    def make(self) -> Harness:
        self.directory = tempfile.TemporaryDirectory()
        return SqliteHarness(Path(self.directory.name))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            self.directory.cleanup()


class PostgresMachine(QueueMachine):
    """The same on a server."""

    def make(self) -> Harness:
        return PostgresHarness()


TestMemoryQueue = QueueMachine.TestCase
TestMemoryQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, database=None)
TestSqliteQueue = SqliteMachine.TestCase
TestSqliteQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, database=None)
TestQueue = PostgresMachine.TestCase
TestQueue.settings = settings(max_examples=8, stateful_step_count=30, deadline=None, database=None)
