"""Runs commands as forks of one process that has imported reaper: real processes, without the second that imports take.

Each is a process of its own, with its own environment, directory and streams, and ends as the interpreter ends. What
depends on a fresh interpreter (its encodings, its imports, the moments of its start) needs `Command.start`, or a
variable of Python's or the locale's in the environment: then `run` starts an interpreter, too.
"""

from __future__ import annotations

import array
import gc
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

MAX_REQUEST = 1 << 20
"""Bytes of a command line with its environment."""
FRESH = ("PYTHON", "LC_", "LANG", "LD_", "FAKETIME")
"""Variables with such a beginning are read while an interpreter starts."""
HARMLESS = ("PYTHONDONTWRITEBYTECODE",)


def can_fork(environ: Mapping[str, str]) -> bool:
    """Return whether a command with this environment can run as a fork."""
    return not any(name.startswith(FRESH) for name in environ if name not in HARMLESS)


def run(
    args: Sequence[str], environ: Mapping[str, str], directory: Path, stdin: str, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `reaper ARGS` to its end, as subprocess.run does with `capture_output`."""
    ends = [os.pipe() for _ in range(3)]  # stdin, stdout, stderr
    done = start(args, environ, directory, [ends[0][0], ends[1][1], ends[2][1]])
    with done, _Streams(ends[0][1], ends[1][0], ends[2][0]) as streams:
        pid = int(done.recv(16))
        if not streams.communicate(stdin.encode(), timeout_s):
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["reaper", *args], timeout_s, streams.text(1), streams.text(2))
        code = int(done.recv(16))
        return subprocess.CompletedProcess(["reaper", *args], code, streams.text(1), streams.text(2))


def start(args: Sequence[str], environ: Mapping[str, str], directory: Path, streams: Sequence[int]) -> socket.socket:
    """Start `reaper ARGS` on three streams, which are closed here; return where its PID comes, later its exit code."""
    done, told = socket.socketpair()
    request = json.dumps([list(args), dict(environ), str(directory)]).encode()
    theirs = array.array("i", [*streams, told.fileno()])
    _server()[0].sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, theirs)])
    for fd in streams:
        os.close(fd)
    told.close()
    return done


class _Streams:
    """The other ends of a command's three streams."""

    def __init__(self, stdin: int, *outputs: int) -> None:
        self._stdin = stdin
        self._outputs = dict.fromkeys(outputs, b"")

    def __enter__(self) -> _Streams:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in [*self._outputs, *([self._stdin] if self._stdin >= 0 else [])]:
            os.close(fd)

    def communicate(self, given: bytes, timeout_s: float) -> bool:
        """Write what is given, read until both outputs are closed; return False when that took too long."""
        until, open_ones = time.monotonic() + timeout_s, set(self._outputs)
        while open_ones:
            readable, writable, _ = select.select(
                open_ones, [self._stdin] if self._stdin >= 0 else [], [], max(0.0, until - time.monotonic())
            )
            if not readable and not writable:
                return False
            if writable:
                given = self._write(given)
            for fd in readable:
                data = os.read(fd, 65536)
                self._outputs[fd] += data
                if not data:
                    open_ones.remove(fd)
        return True

    def _write(self, given: bytes) -> bytes:
        """Write a part; return the rest, and close the stream when there is none or nobody reads it."""
        try:
            rest = given[os.write(self._stdin, given[:4096]) :] if given else b""
        except BrokenPipeError:
            rest = b""
        if not rest:
            os.close(self._stdin)
            self._stdin = -1
        return rest

    def text(self, number: int) -> str:
        data = list(self._outputs.values())[number - 1].decode()
        return data.replace("\r\n", "\n")


@cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the process that forks, once; `end` ends it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_REQUEST)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        cwd=Path(__file__).resolve().parents[3],
        env={name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    return ours, process


def end() -> None:
    """End the process that forks, if there is one: when a test run ends, which waits for it, unlike the interpreter."""
    if _server.cache_info().currsize:
        ours, process = _server()
        ours.close()
        process.wait()
        _server.cache_clear()


# --- in the process that forks ---------------------------------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    """Fork a command for each request until nobody can ask any more."""
    import reaper

    for module in pkgutil.walk_packages(reaper.__path__, "reaper."):
        if not module.name.endswith("__main__") and ".pytest" not in module.name:
            __import__(module.name)
    gc.collect()
    gc.freeze()
    running: dict[int, tuple[int, int]] = {}  # a process's descriptor: its number, and where its code is wanted
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in running:
                poll.unregister(fd)
                pid, told = running.pop(fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                _tell(told, code)
                os.close(fd)
                os.close(told)
                continue
            request, fds, _, _ = socket.recv_fds(control, MAX_REQUEST, 4)
            if not request:
                return
            pid = os.fork()
            if not pid:
                control.detach()
                args, environ, directory = json.loads(request)
                _become(args, environ, directory, fds[:3])
            for stream in fds[:3]:
                os.close(stream)
            _tell(fds[3], pid)
            process = os.pidfd_open(pid)
            running[process] = pid, fds[3]
            poll.register(process, select.POLLIN)


def _tell(fd: int, number: int) -> None:
    try:
        os.write(fd, f"{number}".encode().ljust(16))
    except BrokenPipeError:  # a test that gave up
        pass


def _become(args: list[str], environ: dict[str, str], directory: str, streams: list[int]) -> Any:
    """Be `python -m reaper ARGS` in its environment; its end is that of this process."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115
        new = io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=number == 2)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    os.closerange(3, 4096)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(directory)
    sys.argv[1:] = args
    runpy.run_module("reaper", run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
