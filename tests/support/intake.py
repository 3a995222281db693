"""What the intake needs of a queue, recorded; `fail_after` adds, it breaks once, before (or after) it has committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import SessionId
from reaper.queues.values import Added, Batch, InvalidLine, Position


class RecordingQueue:
    def __init__(self) -> None:
        self.rows: dict[SessionId, tuple[str, float | None]] = {}
        self.lines = 0
        self.batches: list[Batch] = []
        self.options: list[dict[str, Any]] = []
        self.kept: dict[str, Position] = {}
        self.fail_after: int | None = None
        self.fail_committed = False

    @property
    def ids(self) -> list[str]:
        return list(self.rows)

    async def add(self, batch: Batch, **options: Any) -> Added:
        failing = self.fail_after == len(self.batches)
        if failing:
            self.fail_after = None
            if not self.fail_committed:
                raise QueueError("the disk is full")
        fresh = len(self.rows)
        for item in batch.items:
            self.rows.setdefault(item.session_id, (batch.source, item.due_at))
        accepted = len(self.rows) - fresh
        self.lines += len(batch.items)
        self.batches.append(batch)
        self.options.append(options)
        if batch.position is not None:
            self.kept[batch.position.path] = batch.position
        if failing:
            raise QueueError("the answer was lost")
        return Added(accepted, len(batch.items) - accepted, len(batch.invalid))

    def now(self) -> float:
        return 0.0

    async def positions(self) -> list[Position]:
        return list(self.kept.values())


class RecordingReport:
    """A report that remembers."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, Added]] = []
        self.wrong: list[tuple[str, int, str]] = []
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.back: list[str] = []
        self.missing = 0
        self.spool: Mapping[str, int] | None = None

    def imported(self, kind: str, source: str, added: Added) -> None:
        self.added.append((kind, source, added))

    def invalid(self, source: str, lines: Sequence[InvalidLine]) -> None:
        self.wrong += [(source, line.line, line.reason) for line in lines]

    def noted(self, source: str, note: str) -> None:
        self.notes.append(note)

    def failed(self, source: str, error: str) -> None:
        self.failures.append(error)

    def recovered(self, source: str) -> None:
        self.back.append(source)

    def counted(self, missing: int, spool: Mapping[str, int] | None) -> None:
        self.missing, self.spool = missing, spool

    def unavailable(self, error: QueueUnavailableError) -> None:
        raise error
