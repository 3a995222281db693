"""A reader who pastes the commands of a page into one shell, in a home of their own."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support.eventually import eventually

LASTING = {"reaper run": '"reaper.ready"', "reaper sandbox": "export ", "reaper status --watch": ""}
"""Commands that last until the reader ends them, and what they show once they work."""
STEP_S = 60.0


@dataclass(slots=True)
class Done:
    code: int
    said: str
    """stdout and stderr, as a terminal shows them."""


class Reader:
    """One bash; what a command exports or defines is there for the next one."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home = home
        self._number = 0
        self._kept: dict[str, tuple[str, Path]] = {}
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=home,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # notes about jobs
            text=True,
        )
        # Jobs are process groups of their own, which Ctrl-C reaches.
        self._ask("set -m; echo")

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.communicate()
        for pid, _ in self._kept.values():
            subprocess.run(["kill", "-KILL", pid], check=False, capture_output=True)

    def paste(self, command: str, typed: str = "") -> Done:
        """Run a command to its end, or keep it for `end` when it lasts; `typed` is what it reads.

        `^C` ends all that last.
        """
        if command == "^C":
            return max(self.end(), key=lambda done: done.code)
        lasting = next((one for one in LASTING if re.match(rf"{one}(?= |$)", command)), None)
        if lasting is not None:
            return self._keep(lasting, command)
        if command.startswith("#!"):
            command = f"./{self._script(command)}"
        out = self._write(command, typed)
        return Done(int(self._ask(f"{self._eval(out)}; echo $?")), out.read_text())

    def end(self, command: str = "") -> list[Done]:
        """Press Ctrl-C where commands last: in that of a kind, or in all, the latest first."""
        ended = []
        for lasting in reversed([one for one in self._kept if one == (command or one)]):
            pid, out = self._kept.pop(lasting)
            code = self._ask(f"kill -{signal.SIGINT.name[3:]} {pid}; wait {pid}; echo $?")
            ended.append(Done(int(code), out.read_text()))
        return ended

    def _keep(self, lasting: str, command: str) -> Done:
        for done in self.end(lasting):
            assert done.code == 0, f"{lasting}: {done}"
        out = self._write(f"exec {command}", "")
        pid = self._ask(f"{self._eval(out)} & echo $!")
        self._kept[lasting] = (pid, out)
        eventually(lambda: LASTING[lasting] in out.read_text() or not Path(f"/proc/{pid}").exists(), STEP_S)
        return Done(0 if Path(f"/proc/{pid}").exists() else 1, out.read_text())

    def _write(self, command: str, typed: str) -> Path:
        self._number += 1
        folder = self.home / ".pasted" / str(self._number)
        folder.mkdir(parents=True)
        (folder / "command").write_text(command)
        (folder / "typed").write_text(typed)
        (folder / "said").touch()
        return folder / "said"

    def _eval(self, out: Path) -> str:
        return f'eval "$(cat {out.parent}/command)" <{out.parent}/typed >>{out} 2>&1'

    def _script(self, text: str) -> str:
        path = self.home / f"script-{self._number + 1}"
        path.write_text(text)
        path.chmod(0o755)
        return path.name

    def _ask(self, line: str) -> str:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{line}\n")
        self._bash.stdin.flush()
        answer = self._bash.stdout.readline()
        assert answer, "the shell has ended"
        return answer.strip()
