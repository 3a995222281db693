"""Any order of anything, on a real Redis: fewer examples, as each step is a few round trips."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.queues.harness import Harness
from tests.support.queues.queue_machine import QueueMachine
from tests.support.queues.redis_harness import RedisHarness


class RedisMachine(QueueMachine):
    """The same, but that nobody sees a death: what the dead held is free when its leases are over."""

    def make(self) -> Harness:
        return RedisHarness()

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        self.do(self.harness.die(self.processes[which]))
        self.generation[which] = max(self.generation) + 1
        self.processes[which] = self.do(self.harness.open())


TestQueue = RedisMachine.TestCase
TestQueue.settings = settings(max_examples=30, stateful_step_count=40, deadline=None, database=None)
