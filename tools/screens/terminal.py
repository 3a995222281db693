"""A terminal with a home of its own, and the stand-in for the API beside it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCREENS = ROOT / "docs" / "screens"
BIN = ROOT / ".venv" / "bin"
TOKEN = "archal_ws_sandbox"
SHOWN_HOME = "/home/ann"
HOST = socket.gethostname()
SHOWN_HOST = "vm".ljust(len(HOST), "0")
"""As long as the machine's own name, which is nobody's business."""
MACHINES = Path("/etc/reaper/reaper.toml")
ROWS = 30
SOCKET = "reaper-screens"
PROMPT = "$ "


def tmux(*words: str) -> str:
    """Run one command of tmux, on a server of our own."""
    return subprocess.run(["tmux", "-L", SOCKET, *words], check=True, capture_output=True, text=True).stdout


def shell_lines(line: str, width: int) -> list[str]:
    """Return a command in lines as a person breaks it, each but the last with a backslash at its end."""
    lines = [""]
    for word in re.findall(r"(?:[^\s']|'[^']*')+", line):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width - len(" \\"):
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return [*(f"{one} \\" for one in lines[:-1]), lines[-1]]


class Sandbox:
    """The stand-in API as a process; `steer` changes it."""

    def __init__(self, options: Sequence[str]) -> None:
        words = [str(BIN / "reaper"), "sandbox", "--json", "--token", TOKEN, *options]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]

    def ids(self) -> list[str]:
        ask = urllib.request.Request(f"{self.url}/api/sessions", headers={"authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(ask) as answer:
            return [one["sessionId"] for one in json.load(answer)["sessions"]]

    def steer(self, **wishes: object) -> None:
        urllib.request.urlopen(f"{self.url}/_sandbox", json.dumps(wishes).encode()).close()

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Terminal:
    """A session of tmux with a shell in the home directory."""

    def __init__(self, columns: int, home: Path, environ: dict[str, str]) -> None:
        self.home, self.columns = home, columns
        self.name = f"at{columns}-{home.name}"
        words = ["env", "-i", *(f"{name}={value}" for name, value in environ.items()), "bash", "--norc", "--noprofile"]
        size = ("-x", str(columns), "-y", str(ROWS))
        tmux("-f", "/dev/null", "new-session", "-d", "-s", self.name, *size, "-c", str(home), *words)
        self.until(lambda text: text.startswith("$"))

    def type(self, line: str) -> None:
        """Type a line on a screen that was cleared before."""
        tmux("send-keys", "-t", self.name, "C-l")
        self.until(lambda text: text == "$")
        tmux("clear-history", "-t", self.name)
        for part in shell_lines(line, self.columns - len(PROMPT)):
            self.press("-l", "--", part)
            self.press("Enter")

    def press(self, *keys: str) -> None:
        tmux("send-keys", "-t", self.name, *keys)

    def text(self, *options: str) -> str:
        """Return the screen as it is now, with neutral names for the home and the machine."""
        shown = tmux("capture-pane", "-p", *options, "-t", self.name)
        shown = shown.replace(str(self.home), SHOWN_HOME).replace(f" on {HOST}", f" on {SHOWN_HOST}")
        return "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")

    def until(self, good: Callable[[str], bool], within_s: float = 60.0) -> str:
        """Wait for a screen, return it."""
        deadline = time.monotonic() + within_s
        while not good(text := self.text()):
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.columns} columns: the expected screen did not appear:\n{text}")
            time.sleep(0.05)
        return text

    def until_shown(self, pattern: str, within_s: float = 60.0) -> str:
        """Wait for a screen that matches; words may stand on two lines."""
        found = re.compile(pattern.replace(" ", r"\s+"))
        return self.until(lambda text: found.search(text) is not None, within_s)

    def done(self) -> str:
        """Wait for the prompt; return all that was printed, without it."""
        self.until(lambda text: text.endswith("\n$"), 120.0)
        for line in tmux("capture-pane", "-p", "-J", "-S", "-", "-t", self.name).splitlines():
            # tmux joins what it had to break itself; only a word that no line can hold may be broken.
            if len(line.rstrip()) > self.columns >= max(map(len, line.split())) + len(PROMPT):
                raise SystemExit(f"{self.columns} columns: broken in mid-word: {line}")
        return self.text("-S", "-").removesuffix("\n$")

    def answers(self, *lines: str) -> str:
        """Run lines, one after the other; return all that was printed."""
        printed = []
        for line in lines:
            self.type(line)
            printed.append(self.done())
        return "\n".join(printed)

    def keep(self, name: str, text: str) -> None:
        """Write a screen down."""
        (SCREENS / f"{name}-{self.columns}.txt").write_text(text + "\n", encoding="utf-8")

    def close(self) -> None:
        tmux("kill-session", "-t", self.name)


@dataclass(frozen=True, slots=True)
class Stage:
    """A terminal, the API that it talks to, and the sessions there."""

    at: Terminal
    api: Sandbox
    ids: list[str]
    environ: dict[str, str]

    @contextmanager
    def daemon(self, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `reaper run` beside the terminal."""
        words = [str(BIN / "reaper"), "run"]
        running = subprocess.Popen(words, env=self.environ | more, cwd=self.at.home, stderr=subprocess.DEVNULL)
        try:
            yield running
        finally:
            running.terminate()
            running.wait()


@contextmanager
def stage(columns: int, *sandbox: str) -> Iterator[Stage]:
    """Set up a stage with `reaper sandbox` of these options; its IDs are in ids.txt. Takes all away at the end."""
    if MACHINES.exists():
        sys.stderr.write(f"{MACHINES} shows in these screens; take it away first\n")
    home = Path(tempfile.gettempdir()) / secrets.token_hex(2)
    home.mkdir(0o700)
    assert len(str(home)) == len(SHOWN_HOME), "lines would break elsewhere"
    api = Sandbox(sandbox)
    environ = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": f"{home}/.config",  # root's `config init` would write to /etc
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PS1": PROMPT,
        "PS2": " " * len(PROMPT),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "ARCHAL_TOKEN": TOKEN,
        "REAPER_API__BASE_URL": api.url,
        "REAPER_TELEMETRY__LISTEN": "",  # the default address may be in use, by the terminal of another width
    }
    ids = api.ids()
    (home / "ids.txt").write_text("".join(f"{one}\n" for one in ids))
    at = Terminal(columns, home, environ)
    try:
        yield Stage(at, api, ids, environ)
    finally:
        at.close()
        api.close()
        shutil.rmtree(home)
