"""A person's terminal: an interactive shell on a pseudo terminal, with keys and with a lid that can be closed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PROMPT = "ready> "
CTRL_C, CTRL_Z = "\x03", "\x1a"


class Shell:
    """bash with job control, or another program, as the session leader of a terminal of its own."""

    def __init__(self, home: Path, environ: Mapping[str, str], *words: str) -> None:
        self.screen = ""
        """All that was shown so far."""
        self._seen = 0
        pid, self._terminal = pty.fork()
        if not pid:
            os.chdir(home)
            words = words or ("bash", "--noprofile", "--norc", "--noediting", "-i")
            os.execvpe(words[0], words, {**environ, "PS1": PROMPT, "TERM": "dumb"})
        self.pid, self._is_shell = pid, not words
        self.code: int | None = None
        """Its exit code, once the block is over."""

    def __enter__(self) -> Shell:
        if self._is_shell:
            self.wait_for(re.escape(PROMPT))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        deadline = time.monotonic() + 30
        while (found := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.02)
        self.code = os.waitstatus_to_exitcode(found[1])

    def close(self) -> None:
        """Close the terminal, as a lost connection or a closed window does."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def run(self, line: str, timeout_s: float = 60.0) -> str:
        """Run a command line; return what was shown until the next prompt."""
        self.type(f"{line}\n")
        return self.wait_for(re.escape(PROMPT), timeout_s)

    def wait_for(self, pattern: str, timeout_s: float = 60.0) -> str:
        """Return what is shown from the last wait on, up to a match of the pattern."""
        deadline = time.monotonic() + timeout_s
        while not (found := re.search(pattern, self.screen[self._seen :])):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.screen[self._seen :]!r}"
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.screen += os.read(self._terminal, 65536).decode(errors="replace").replace("\r", "")
        part = self.screen[self._seen : self._seen + found.end()]
        self._seen += found.end()
        return part
