"""The machine's clock is wrong, or jumps, while IDs wait, are in flight or between two tries."""

from __future__ import annotations

import pytest

from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim
from tests.support.processes.daemon import daemon, watch
from tests.support.processes.wrong_clock import wrong_clock
from tests.support.sandbox import running_sandbox, script, start_sessions


def another(command: Command, offset: str, *, monotonic: bool = False) -> Command:
    """Return the command in the same world by another clock."""
    made = Command(command.home, dict(command.env))
    wrong_clock(made, monotonic=monotonic).write_text(offset)
    return made


@pytest.mark.parametrize(("first", "then"), [("+6h", "+0"), ("+0", "-6h"), ("-20000d", "+0"), ("+0", "-20000d")])
def test_what_is_due_now_is_stopped_by_any_clock(command: Command, first: str, then: str) -> None:
    """An RTC that was ahead, one without a battery that begins in 1972, and NTP that sets it right."""
    with running_sandbox() as sandbox:
        start_sessions(sandbox, ["env_a", "env_b"])
        aim(command, sandbox)
        done = another(command, first).run("add", "env_a", "env_b")
        assert done.returncode == 0, done.stderr
        after = another(command, then)
        status = after.json("status")
        assert (status["ready"], status["delayed"]) == (2, 0)
        assert status["oldest_due_s"] >= 0
        done = after.run("once", "--no-wait")
        assert done.returncode == 0, done.stderr
        assert command.outcomes() == {"env_a": "stopped", "env_b": "stopped"}
        command.audit()


def test_a_retry_is_not_put_off_by_a_clock_that_was_set_back(command: Command) -> None:
    with running_sandbox() as sandbox:
        start_sessions(sandbox, ["env_a"])
        script(sandbox, ["env_a"], "502")
        aim(command, sandbox, retry__base_s=5)
        assert command.run("add", "env_a").returncode == 0
        assert another(command, "+1h").run("once", "--no-wait").returncode == 75
        done = command.run("once", "--no-wait")
        assert done.returncode == 0, done.stderr
        assert sandbox.sends == {"env_a": 2}


@pytest.mark.parametrize("monotonic", [False, True])
@pytest.mark.parametrize("offset", ["+1h", "+3000d", "-1h"])
def test_a_jump_takes_nothing_from_a_process_that_lives(command: Command, offset: str, monotonic: bool) -> None:
    """A second process with another clock, as after a jump: it waits for what the first has in flight."""
    with running_sandbox(latency="3s") as sandbox:
        start_sessions(sandbox, ["env_a", "env_b"])
        watch(command, sandbox)
        assert command.run("add", "env_a", "env_b").returncode == 0
        with daemon(command) as process:
            eventually(lambda: sandbox.sends == {"env_a": 1, "env_b": 1})
            done = another(command, offset, monotonic=monotonic).run("once", "--for", "2s")
            assert done.returncode in (0, 75), done.stderr
            assert sandbox.sends == {"env_a": 1, "env_b": 1}
            eventually(lambda: len(command.outcomes()) == 2)
            process.terminate()
            assert process.wait(timeout=30) == 0
        assert sandbox.sends == {"env_a": 1, "env_b": 1}
        command.audit()


def test_a_time_that_was_named_is_kept(command: Command) -> None:
    with running_sandbox() as sandbox:
        start_sessions(sandbox, ["env_a"])
        aim(command, sandbox)
        assert command.run("add", "--at", "2099-01-01T00:00:00Z", "env_a").returncode == 0
        assert another(command, "-1h").run("once").returncode == 0
        assert sandbox.sends == {}
        assert another(command, "+30000d").run("once").returncode == 0
        assert sandbox.sends == {"env_a": 1}
