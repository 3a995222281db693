"""An open queue, put together from the five ports of its engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from reaper.queues.base import IntakePort, LedgerReader, OperatorPort, ValuePort, WorkPort


class ComposedQueue:
    """A `Queue` whose methods are those of the ports, bound once: a call costs what the port's own method does."""

    def __init__(
        self,
        *,
        intake: IntakePort,
        work: WorkPort,
        operators: OperatorPort,
        values: ValuePort,
        ledger: LedgerReader,
        close: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.owner, self.now, self.close = work.owner, work.now, close
        self.add, self.positions = intake.add, intake.positions
        self.new_set, self.claim, self.apply, self.next_at = work.new_set, work.claim, work.apply, work.next_at
        self.paused, self.maintain, self.heartbeat = work.paused, work.maintain, work.heartbeat
        self.postpone, self.make_due, self.cancel = operators.postpone, operators.make_due, operators.cancel
        self.reopen, self.purge, self.pause = operators.reopen, operators.purge, operators.pause
        self.read_value, self.compare_and_set = values.read_value, values.compare_and_set
        self.show, self.outcomes_of, self.outcomes = ledger.show, ledger.outcomes_of, ledger.outcomes
        self.select, self.count, self.invalid_lines = ledger.select, ledger.count, ledger.invalid_lines
        self.retrying = ledger.retrying
        self.live_workers, self.lease_holders = ledger.live_workers, ledger.lease_holders
        self.stats, self.history = ledger.stats, ledger.history
        self.audit, self.backup = ledger.audit, ledger.backup
