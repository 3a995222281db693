"""A terminal for the command: a pseudo terminal on stderr, and on stdout too unless that is a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.processes.command import Command

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(slots=True)
class Seen:
    """What the terminal got, what the pipe on stdout got, and how it ended."""

    code: int
    screen: str
    piped: str

    @property
    def text(self) -> str:
        """What was written on the screen, without what steers it."""
        return STEERING.sub("", self.screen).replace("\r", "")

    @property
    def clean(self) -> bool:
        """Whether the cursor shows again, and neither colour nor the alternate screen stays on."""
        return (
            self.screen.rfind(SHOW) >= self.screen.rfind(HIDE)
            and self.screen.rfind("\x1b[?1049l") >= self.screen.rfind("\x1b[?1049h")
            and self.screen.rfind("\x1b[0m") >= max(self.screen.rfind(f"\x1b[{n}m") for n in (1, 2, 31, 32, 33, 36))
        )


def on_terminal(
    command: Command,
    *words: str,
    columns: int = 80,
    term: str = "xterm-256color",
    env: dict[str, str] | None = None,
    piped: bool = False,
    when: Callable[[str, subprocess.Popen[bytes]], bool] = lambda screen, process: True,
    timeout_s: float = 60.0,
) -> Seen:
    """Run a command line there to its end; `when` is asked with the screen so far until it is true, to act on it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "reaper", *words],
        env={**command.environ(), "TERM": term, **(env or {})},
        cwd=command.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen, acted, deadline = b"", False, time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # the last one closed it
                    break
                screen += part
            acted = acted or when(screen.decode(errors="replace"), process)
        piped_text = ""
        if process.stdout:
            with process.stdout as pipe:
                piped_text = pipe.read().decode()
        code = process.wait(max(0.1, deadline - time.monotonic()))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Seen(code, screen.decode(), piped_text)
