"""Signals that are caught from the first moment on: repeats count once, and one that comes early waits."""

from __future__ import annotations

import contextvars
import os
import signal

import anyio
import pytest

from reaper.app.signals import REPEAT_S, Signals, cancel_by

pytestmark = pytest.mark.anyio


async def test_repeats_within_a_second_count_once() -> None:
    at, seen = [100.0], list[signal.Signals]()
    signals = Signals(now=lambda: at[0])
    with signals.obeyed(seen.append):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            signals.catch(number)
            at[0] += REPEAT_S / 3 - 0.01
        at[0] += 0.1
        signals.catch(signal.SIGTERM)
        signals.catch(signal.SIGHUP)
        signals.catch(signal.SIGHUP)
        await anyio.sleep(0.01)
    assert seen == [signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGHUP]


async def test_a_signal_waits_until_somebody_obeys() -> None:
    signals = Signals()
    signals.catch(signal.SIGTERM)
    with anyio.CancelScope() as scope, signals.obeyed(cancel_by(scope)):
        await anyio.sleep(1)
    assert scope.cancelled_caught
    signals.catch(signal.SIGHUP)
    with anyio.CancelScope() as scope, signals.obeyed(cancel_by(scope)):
        await anyio.sleep(0.01)
    assert not scope.cancel_called, "SIGHUP ends nothing"


async def test_a_signal_that_comes_while_the_loop_sleeps_may_start_a_task() -> None:
    """The handler then runs outside of any task: a reload was dropped with a traceback."""
    reloaded = anyio.Event()

    async def reload() -> None:
        reloaded.set()

    signals = Signals()
    async with anyio.create_task_group() as group:
        with signals.obeyed(lambda _: group.start_soon(reload)):
            contextvars.Context().run(signals.catch, signal.SIGHUP)
            with anyio.fail_after(5):
                await reloaded.wait()


def test_after_the_work_a_second_signal_leaves_with_the_exit_code() -> None:
    pid = os.fork()
    if pid == 0:
        signals = Signals()
        signals.leave_with(75)
        signals.catch(signal.SIGTERM)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 75
