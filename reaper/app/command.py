"""A command as a child process: in a process group of its own, with the terminal, and ended with all it started.

On a terminal its group is in the foreground, as that of a shell's job is: Ctrl-C and Ctrl-Z reach it once, from the
terminal. In a pipeline it gets the terminal when it first reads from it.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio

from reaper.app.descendants import adopt_orphans, children, end_with_parent
from reaper.app.foreground import Foreground
from reaper.core.errors import CommandError
from reaper.core.text import sanitize

PASSED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH", "SIGTSTP",
                 "SIGCONT", "SIGPWR")
    if hasattr(signal, name)
)  # fmt: skip
"""The signals that are passed on to the command."""
TO_THE_GROUP = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP})
"""Those that end or stop a job go to its whole group, as from a terminal; the others are meant for one program."""
JOB_STOPS = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""The exit codes of a shell (POSIX.1-2024, 2.8.2)."""
LEFT_S, TERM_S, KILL_S = 1.0, 5.0, 2.0
"""How long processes that a command left behind may take to end: by themselves, after SIGTERM, after SIGKILL."""
POLL_S = 0.02


def find_command(word: str) -> str:
    """Return the path of a program. Raises CommandError, with the exit code of a shell, when there is none to run."""
    if os.sep in word:
        places = [word] if os.path.exists(word) else []
    else:
        places = [place for folder in os.get_exec_path() if os.path.isfile(place := os.path.join(folder, word))]
    if not places:
        raise CommandError(f"{sanitize(word)}: there is no such command", NOT_FOUND)
    for place in places:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    raise CommandError(f"{sanitize(word)} is not executable", NOT_EXECUTABLE)


class CommandProcess:
    """One run of a command. `foreground`: the terminal, which it gets."""

    def __init__(self, words: Sequence[str], foreground: Foreground) -> None:
        """Find the program. Raises CommandError when it cannot be run."""
        self._words = list(words)
        self._path = find_command(words[0])
        self._foreground = foreground
        self._on_stop: Callable[[], object] = self.stop_with_it
        self._is_suspended = False
        """Whether it was stopped as a job, and was not continued since."""
        self._before: set[int] = set()
        """The children that this process had before."""
        self.pid = 0
        """The number of its process, and of its group."""
        self.ended = anyio.Event()
        self.code: int | None = None
        """Its exit code, 128 + N when signal N ended it; None while it lives."""
        self.ended_by: signal.Signals | None = None
        self._started_at = 0.0
        self.ran_s = 0.0

    def start(self) -> None:
        """Start it. Raises CommandError when it cannot be run."""
        self._before = children() or set()
        adopt_orphans()
        gets_terminal = self._foreground.is_ours and os.isatty(0) and os.isatty(1)
        parent = os.getpid()
        # What arrives meanwhile is passed on afterwards, and not lost in the child between fork and exec.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED)

        def prepare() -> None:
            os.setpgid(0, 0)
            if gets_terminal:
                self._foreground.give(os.getpid())
            self._foreground.restore_in_child()
            for number in PASSED:
                if callable(signal.getsignal(number)):
                    signal.signal(number, signal.SIG_DFL)
            end_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        try:
            try:
                process = _open(self._words, self._path, prepare)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # A script without `#!`: the shell's, as for every shell and for execvp(3).
                process = _open(["/bin/sh", self._path, *self._words[1:]], "/bin/sh", prepare)
        except OSError as error:
            has_file = os.path.exists(self._path)
            why = "there is no such interpreter as its first line names" if has_file else error.strerror
            if not isinstance(error, FileNotFoundError):
                why = error.strerror
            code = NOT_EXECUTABLE if has_file else NOT_FOUND
            raise CommandError(f"{sanitize(self._words[0])} cannot be started: {why}", code) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.pid, self._foreground.is_given = process.pid, gets_terminal
        process.returncode = 0  # this object waits for it, not that one
        self._started_at = time.monotonic()
        self._collect()

    # --- while it lives -------------------------------------------------------------------------------------------

    def obey(self, number: signal.Signals) -> None:
        """React to a signal of this process: pass it on, or see how the command stands."""
        if number == signal.SIGCHLD:
            self._collect()
        elif number == signal.SIGCONT:
            self._continue()
        elif self.code is None:
            with suppress(ProcessLookupError, PermissionError):  # it ended, or runs as another user, as under sudo
                (os.killpg if number in TO_THE_GROUP else os.kill)(self.pid, number)

    def on_stop(self, call: Callable[[], object]) -> None:
        """Call `call`, which must have `stop_with_it` called soon, when the command was stopped as a job."""
        self._on_stop = call

    def stop_with_it(self) -> None:
        """Stop this process's group, as the terminal would have; return when it goes on, and the command with it.

        A group that no shell controls cannot be stopped: then the command goes on at once. Where the command was
        continued before this was called, nothing happens: `fg` must not stop it again.
        """
        if not self._is_suspended:
            return
        own = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, own)
        self._continue()

    def _continue(self) -> None:
        self._is_suspended = False
        if self._foreground.is_given and self._foreground.is_ours:
            self._foreground.give(self.pid)
        self._send_group(signal.SIGCONT)

    def _send_group(self, number: signal.Signals) -> None:
        """Send a signal to the command's group, if that is there."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _collect(self) -> set[int]:
        """Take note of what happened to the command and to all that it started; return those that live."""
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if not pid:
                break
            if os.WIFSTOPPED(status):
                self._stopped(os.WSTOPSIG(status))
            else:
                code = os.waitstatus_to_exitcode(status)
                self.ended_by = signal.Signals(-code) if code < 0 else None
                self.ran_s = time.monotonic() - self._started_at
                self.code = 128 - code if code < 0 else code
                self._foreground.take_back(self.pid)
                self.ended.set()
        listed = children()
        if listed is None:
            return {self.pid} if _exists(self.pid) else set()
        rest = {pid for pid in listed - self._before - {self.pid} if not _is_over(pid)}
        return rest if self.code is not None else rest | {self.pid}

    def _stopped(self, number: int) -> None:
        if number in (signal.SIGTTIN, signal.SIGTTOU) and self._foreground.is_ours:
            self._foreground.give(self.pid)
            self._send_group(signal.SIGCONT)
        elif number in JOB_STOPS:
            self._is_suspended = True
            self._on_stop()

    # --- after its end --------------------------------------------------------------------------------------------

    async def end_rest(self, hurry: anyio.Event) -> int:
        """End what is left: let it end by itself, then SIGTERM, then SIGKILL; return how many were signalled.

        `hurry`: once it is set, all that follows at once. A command that lives is ended, too.
        """
        signalled: set[int] = set()
        for number, within_s in ((None, LEFT_S), (signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
            until, reached = anyio.current_time() + within_s, set[int]()
            while rest := self._collect():
                if number is not None:
                    self._send_to(rest - reached, number, first=not reached)
                    reached |= rest
                    signalled |= rest
                if anyio.current_time() >= until or (hurry.is_set() and number != signal.SIGKILL):
                    break
                await anyio.sleep(POLL_S)
            else:
                break
        return len(signalled)

    def _send_to(self, pids: set[int], number: signal.Signals, *, first: bool) -> None:
        """Send a signal to these children; the `first` time to the command's group as a whole, if one is of it."""
        # A child that was not waited for keeps its number, and its group too: neither can be somebody else's.
        members = {pid for pid in pids if self.pid in (pid, _group_of(pid))}
        if members and first:
            self._send_group(number)
        for pid in pids - members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _open(words: Sequence[str], path: str, prepare: Callable[[], None]) -> subprocess.Popen[bytes]:
    # `prepare` takes no lock and imports nothing, so that a fork beside other threads is safe.
    return subprocess.Popen(words, executable=path, close_fds=False, preexec_fn=prepare)


def _is_over(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # not ours any more
        return True


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
