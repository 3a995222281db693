"""The commands of docs/compared.md, each beside an API of its own that has the same trouble."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reaper.sandbox.sessions import generate
from tests.support.docs.blocks import ROOT, block
from tests.support.processes.command import TOKEN, Command, aim, kill, write_ids
from tests.support.sandbox import RunningSandbox, running_sandbox, stopped

PAGE = "docs/compared.md"
TOOLS = ("curl", "xargs", "reaper")
"""In the order of the columns."""
NUMBER = 20
"""Sessions of one try, unless it says otherwise."""


@dataclass(slots=True)
class Try:
    """One tool, its API and its directory with ids.txt."""

    tool: str
    home: Path
    sandbox: RunningSandbox
    ids: list[str]
    waits_s: float = 1.0
    """How long reaper waits for a token, or for an API that does not answer, before it ends."""
    command: Command = field(init=False)

    def __post_init__(self) -> None:
        self.command = Command(self.home)
        aim(
            self.command,
            self.sandbox,
            retry__base_s=0.05,
            api__credentials_wait_s=self.waits_s,
            api__unavailable_wait_s=self.waits_s,
        )

    @property
    def stopped(self) -> int:
        return len(self.sandbox.do(stopped))

    def run(self) -> int:
        """Run the command of the page to its end; return its exit code."""
        process = self.start()
        process.communicate()
        return process.returncode

    def start(self) -> subprocess.Popen[str]:
        if self.tool == "reaper":
            words = block(PAGE, name="reaper").split()
            return self.command.start(*words[1:], start_new_session=True)
        environ = {"PATH": os.environ["PATH"], "ARCHAL_TOKEN": TOKEN, "API": self.sandbox.url}
        return subprocess.Popen(
            ["sh", "-c", block(PAGE, name=self.tool)],
            env=environ,
            cwd=self.home,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def killed(self) -> None:
        """Run the command until half of the sessions are stopped, and kill it with all that it has started."""
        process = self.start()
        self.sandbox.until(lambda inside: len(stopped(inside)) >= len(self.ids) // 2, 30.0)
        os.killpg(process.pid, signal.SIGKILL)
        kill(process)

    def result(self, code: int) -> str:
        """Return how it ended, as the page has it."""
        count = self.stopped
        share = f"{count} of {len(self.ids)}" if count in (0, 15, len(self.ids)) else "not all"
        return f"exit {code}; {share} stopped"


@contextmanager
def tries(folder: Path, number: int = NUMBER, *, latency: str = "0", waits_s: float = 1.0) -> Iterator[list[Try]]:
    """Set up one try for each tool, with the same sessions."""
    found: list[Try] = []

    def add(tools: tuple[str, ...]) -> Iterator[list[Try]]:
        if not tools:
            yield found
            return
        home = folder / tools[0]
        home.mkdir()
        sessions = list(generate(number, 11))
        ids = [session.session_id for session in sessions]
        write_ids(home / "ids.txt", ids)
        with running_sandbox(sessions, latency=latency) as sandbox:
            found.append(Try(tools[0], home, sandbox, ids, waits_s))
            yield from add(tools[1:])

    yield from add(TOOLS)


def each(tries: list[Try], act: Callable[[Try], str]) -> list[str]:
    """Do the same with each tool at the same time; return what came of it, in the order of the columns."""
    with ThreadPoolExecutor(len(tries)) as pool:
        done: list[Future[str]] = [pool.submit(act, one) for one in tries]
        return [one.result() for one in done]


def tried() -> dict[str, list[str]]:
    """Return the table of what was tried: of each row its name, and of each tool how it ended."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- tried -->\n(.*?)<!-- /tried -->", page, flags=re.S)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: [re.sub(r"(?:: .*|\*\*)", "", cell) for cell in row[1:]] for row in rows}
