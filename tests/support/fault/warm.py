"""Commands as processes that start at once, for scenarios that need thousands: forks of one warm process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.processes.command import Command


@dataclass(slots=True)
class Running:
    """One command that runs; the files hold what it says."""

    pid: int
    out: Path
    err: Path
    code: int | None = None

    def send_signal(self, number: int) -> None:
        """Nothing happens once it has ended: until `wait` returns, the PID stays its own."""
        if self.code is None:
            os.kill(self.pid, number)


@dataclass(slots=True)
class Warm:
    """The warm process. `code` is a directory with a `reaper` package of its own, for planted mistakes."""

    code: Path | None = None
    _server: subprocess.Popen[str] = field(init=False)
    _number: int = 0
    _last: Running | None = None

    def __post_init__(self) -> None:
        path = [str(self.code)] if self.code else []
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm_server.py"))],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self, command: Command, *args: str, limits: Mapping[str, int] | None = None, stopped: bool = False
    ) -> Running:
        """Start one command; one that was left running by a test that failed is killed first."""
        if self._last is not None and self._last.code is None:
            self._last.send_signal(signal.SIGKILL)
            self.wait(self._last)
        self._number += 1
        out, err = (command.home / f"warm-{self._number}.{name}" for name in ("out", "err"))
        wish: dict[str, Any] = {
            "args": args,
            "home": str(command.home),
            "env": command.environ(),
            "streams": [os.devnull, str(out), str(err)],
            "limits": limits or {},
            "stopped": stopped,
        }
        self._tell(json.dumps(wish))
        self._last = Running(int(self._line()), out, err)
        return self._last

    def wait(self, running: Running) -> int:
        """Return the exit code once it has ended; less than 0: the signal that ended it."""
        if running.code is None:
            assert self._line() == "ended\n"
            self._tell("well")
            running.code = int(self._line())
        return running.code

    def run(self, command: Command, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        running = self.start(command, *args, **options)
        code = self.wait(running)
        done = subprocess.CompletedProcess(args, code, running.out.read_text(), running.err.read_text())
        running.out.unlink()
        running.err.unlink()
        return done

    def _tell(self, line: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(f"{line}\n")
        self._server.stdin.flush()

    def _line(self) -> str:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the warm process has ended"
        return line

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        assert self._server.stdout is not None
        self._server.stdout.close()
