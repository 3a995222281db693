"""A command as a child process: its exit code, its signals, what it leaves behind, and a program that is not there."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from reaper.app.command import PASSED, CommandProcess, find_command
from reaper.app.descendants import PR_SET_CHILD_SUBREAPER, children
from reaper.app.foreground import Foreground
from reaper.app.signals import Signals
from reaper.core.errors import CommandError
from tests.support.eventually import eventually_async


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Signals]:
    """Catch the signals in a directory of the test's own; put all back afterwards."""
    monkeypatch.chdir(tmp_path)
    numbers = (*PASSED, signal.SIGCHLD, signal.SIGTTOU)
    before = {number: signal.getsignal(number) for number in numbers}
    signals = Signals(*(number for number in numbers if number != signal.SIGTTOU))
    signals.repeat_s = 0.0
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


async def _ended(signals: Signals, *words: str, send: tuple[signal.Signals, ...] = ()) -> CommandProcess:
    """Run a command to its end; once it has made the file `up`, send these signals to this process."""
    command = CommandProcess(words, Foreground())
    command.start()
    with anyio.move_on_after(10) as within, signals.obeyed(command.obey):
        for number in send:
            await eventually_async(Path("up").exists, 20)
            os.kill(os.getpid(), number)
        await command.ended.wait()
    if within.cancelled_caught:
        os.killpg(command.pid, signal.SIGKILL)
    assert not within.cancelled_caught, "it did not end"
    return command


def ended(signals: Signals, *words: str, send: tuple[signal.Signals, ...] = ()) -> CommandProcess:
    return anyio.run(partial(_ended, signals, *words, send=send))


def end_rest(command: CommandProcess, *, in_a_hurry: bool = False) -> int:
    """End what a command left behind; return how many processes were signalled."""

    async def end() -> int:
        hurry = anyio.Event()
        if in_a_hurry:
            hurry.set()
        with anyio.fail_after(20):
            return await command.end_rest(hurry)

    return anyio.run(end)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill $$", 143)])
def test_its_exit_code_is_its_own_or_that_of_a_shell_for_the_signal(world: Signals, script: str, code: int) -> None:
    assert ended(world, "sh", "-c", script).code == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_is_passed_on_once(world: Signals, number: signal.Signals) -> None:
    script = (
        f"trap 'echo got >>got' {number.name[3:]}; : >up; while [ ! -e got ]; do sleep 0.01; done; sleep 0.2; exit 7"
    )
    assert (ended(world, "sh", "-c", script, send=(number,))).code == 7
    assert Path("got").read_text() == "got\n"


def test_what_ends_a_job_reaches_its_whole_group(world: Signals) -> None:
    inner = "trap 'echo inner >>got; exit' TERM; : >up; while :; do sleep 0.01; done"
    script = f"trap 'echo outer >>got' TERM; sh -c \"{inner}\"; exit 7"
    assert (ended(world, "sh", "-c", script, send=(signal.SIGTERM,))).code == 7
    assert sorted(Path("got").read_text().split()) == ["inner", "outer"]


def test_it_has_the_signals_that_were_ignored_and_no_other(world: Signals) -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # as under nohup
    command = ended(world, "sh", "-c", "cat /proc/self/status >got")
    assert command.code == 0
    standard = (1 << 31) - 1  # the C library has uses of its own for some of the others
    sets = {
        name: int(mask, 16) & standard
        for name, mask in re.findall(r"^(Sig(?:Ign|Blk|Cgt)):\s(\w+)$", Path("got").read_text(), flags=re.M)
    }
    assert sets == {"SigIgn": 1 << signal.SIGUSR2 - 1, "SigBlk": 0, "SigCgt": 0}


def test_a_stop_that_fg_outran_does_not_stop_it_again(world: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def killpg(group: int, number: int, send: Callable[[int, int], None] = os.killpg) -> None:
        sent.append(number)
        if group != os.getpgrp():
            send(group, number)

    async def stopped_twice() -> CommandProcess:
        command = CommandProcess(["sh", "-c", "kill -TSTP $$; kill -TSTP $$; exit 7"], Foreground())
        due: list[Callable[[], object]] = []
        command.on_stop(lambda: due.append(command.stop_with_it))
        command.start()
        with world.obeyed(command.obey):
            await eventually_async(lambda: len(due) == 1, 20)
            command.obey(signal.SIGCONT)
            await eventually_async(lambda: len(due) == 2, 20)
            for stop in due:
                stop()
            with anyio.fail_after(20):
                await command.ended.wait()
        return command

    monkeypatch.setattr("os.killpg", killpg)
    assert anyio.run(stopped_twice).code == 7
    assert sent.count(signal.SIGTSTP) == 1


def test_it_leads_a_group_of_its_own_and_has_the_open_files_of_this_process(world: Signals) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    script = f"echo $(ps -o pgid= -p $$) $$ >&{writing}"
    assert (ended(world, "bash", "-c", script)).code == 0
    group, pid = os.read(reading, 100).split()
    assert group == pid
    assert int(group) != os.getpgrp()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("away", ["", "setsid "], ids=["its group", "a session of its own"])
def test_what_it_leaves_behind_is_ended(world: Signals, away: str) -> None:
    before = children()
    script = f"({away}sleep 100 & echo $! >left); exit 3"
    command = ended(world, "sh", "-c", script)
    assert command.code == 3
    assert end_rest(command) == 1
    assert children() == before
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("left").read_text()), 0)


def test_what_ends_by_itself_a_moment_later_is_not_disturbed(world: Signals) -> None:
    command = ended(world, "sh", "-c", "(sleep 0.2; echo whole >log) & exit 0")
    assert end_rest(command) == 0
    assert Path("log").read_text() == "whole\n"


def test_in_a_hurry_what_ignores_sigterm_is_killed_at_once(world: Signals) -> None:
    command = ended(world, "sh", "-c", "(trap '' TERM; : >up; sleep 100; sleep 100) & while ! [ -e up ]; do :; done")
    begun = time.monotonic()
    assert end_rest(command, in_a_hurry=True) >= 1
    assert time.monotonic() - begun < 1.5


def test_a_child_that_was_there_before_is_let_alone(world: Signals) -> None:
    with subprocess.Popen(["sleep", "100"]) as before:
        command = ended(world, "sh", "-c", "exit 0")
        signalled = end_rest(command)
        is_alive = before.poll() is None
        before.kill()
    assert (signalled, is_alive) == (0, True)


def test_a_command_that_lives_is_ended_with_the_rest(world: Signals) -> None:
    async def begun() -> CommandProcess:
        command = CommandProcess(["sleep", "100"], Foreground())
        command.start()
        return command

    command = anyio.run(begun)
    assert end_rest(command, in_a_hurry=True) == 1
    assert command.code in (143, 137)


def test_without_a_list_of_children_the_group_is_ended(world: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reaper.app.command.children", lambda: None)
    command = ended(world, "sh", "-c", "sleep 100 & exit 3")
    assert end_rest(command, in_a_hurry=True) == 1
    assert os.waitpid(-command.pid, 0)[1] == signal.SIGTERM, "this process adopted it"


def test_a_script_without_a_first_line_is_the_shells(world: Signals) -> None:
    Path("script").write_text("echo $1 >got; exit 5\n")
    Path("script").chmod(0o755)
    assert (ended(world, "./script", "one")).code == 5
    assert Path("got").read_text() == "one\n"


def test_a_command_that_cannot_be_run_has_the_code_of_a_shell(world: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plain").write_text("echo\n")
    Path("folder").mkdir()
    monkeypatch.setenv("PATH", os.getcwd())
    for word, code, why in (
        ("./nope", 127, "there is no such command"),
        ("nope", 127, "there is no such command"),
        ("folder", 127, "there is no such command"),
        ("./folder", 126, "is not executable"),
        ("plain", 126, "is not executable"),
    ):
        with pytest.raises(CommandError, match=why) as caught:
            find_command(word)
        assert caught.value.exit_code == code, word
    Path("gone").write_text("#!/no/such/interpreter\n")
    Path("gone").chmod(0o755)
    with pytest.raises(CommandError, match="no such interpreter") as caught:
        CommandProcess(["./gone"], Foreground()).start()
    assert caught.value.exit_code == 126
    command = CommandProcess([sys.executable], Foreground())
    monkeypatch.setattr("os.path.exists", lambda path: False)
    monkeypatch.setattr("subprocess.Popen", _gone)
    with pytest.raises(CommandError, match="No such file") as caught:
        command.start()
    assert caught.value.exit_code == 127


def _gone(*words: object, **options: object) -> None:
    raise FileNotFoundError(2, "No such file or directory")
