"""Captures the screens of a real terminal (tmux) of 80 and of 140 columns into docs/screens/: `make screens`.

The API is `reaper sandbox`, steered through its control surface. The home is a directory whose path is as long as the
one it is shown as, so that lines break where they would. docs/screens.md is written from the captured screens, and
docs/img/demo.png, the picture of the README, is the demo's screen in its colours (rich draws it, chromium prints it).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCREENS = ROOT / "docs" / "screens"
SHOWN_HOME = "/home/ann"
TOKEN = "archal_ws_sandbox"
ROWS = 30
SOCKET = "reaper-screens"
BIN = ROOT / ".venv" / "bin"

PAGE = (
    ("demo-running", "reaper demo", "The demo at work: 500 sessions of a stand-in API that fails now and then."),
    ("demo-finished", "reaper demo", "Finished: the sessions that could not be stopped, and what to do next."),
    ("once-running", "reaper once ids.txt", "A run: its progress, its rate, the time left, and the retries."),
    ("once-throttled", "reaper once ids.txt", "Paused: the API asked clients to wait."),
    (
        "once-credentials",
        "reaper once ids.txt",
        "Paused: the API refuses the token. What to do, and when the run ends.",
    ),
    ("once-outage", "reaper once ids.txt", "Paused: the API is down."),
    ("once-stopping", "reaper once ids.txt", "After Ctrl-C: reaper sends nothing new and waits for what is in flight."),
    ("once-interrupted", "reaper once ids.txt", "Stopped early: open IDs stay queued."),
    ("once-finished", "reaper once ids.txt", "Finished with dead letters: each kind with its command."),
    ("dead-list", "reaper dead list --outcome rejected", "Dead letters, each with its reason."),
    ("show", "reaper show ID", "One session: its events in the order of time, and what to do next."),
    ("status", "reaper status", "The whole queue, once."),
    ("status-watch", "reaper status --watch", "The whole queue, again and again, while a daemon works."),
    ("check", "reaper check", "One line for each check; a fault comes with its remedy."),
    ("mistakes", "reaper …", "Mistakes: what is wrong, where, and what to do."),
)


class Terminal:
    """A terminal of its own: a session of tmux with a shell in the home directory."""

    def __init__(self, columns: int, home: Path, base_url: str) -> None:
        self.home, self.columns = home, columns
        self.name = f"at{columns}"
        environ = {
            "HOME": str(home),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PS1": "$ ",
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "ARCHAL_TOKEN": TOKEN,
            "REAPER_API__BASE_URL": base_url,
        }
        words = ["env", "-i", *(f"{name}={value}" for name, value in environ.items()), "bash", "--norc", "--noprofile"]
        size = ("-x", str(columns), "-y", str(ROWS))
        tmux("-f", "/dev/null", "new-session", "-d", "-s", self.name, *size, "-c", str(home), *words)
        self.until(lambda text: text.startswith("$"))

    def type(self, line: str) -> None:
        """Type a line on a screen that was cleared before."""
        tmux("send-keys", "-t", self.name, "C-l")
        self.until(lambda text: text == "$")
        tmux("send-keys", "-t", self.name, "-l", line)
        tmux("send-keys", "-t", self.name, "Enter")

    def press(self, key: str) -> None:
        tmux("send-keys", "-t", self.name, key)

    def text(self, *options: str) -> str:
        """Return the screen as it is now, with the home replaced by the one that is shown."""
        shown = tmux("capture-pane", "-p", *options, "-t", self.name)
        lines = [line.rstrip() for line in shown.replace(str(self.home), SHOWN_HOME).splitlines()]
        return "\n".join(lines).strip("\n")

    def until(self, good: Callable[[str], bool], within_s: float = 60.0) -> str:
        """Wait for a screen, return it."""
        deadline = time.monotonic() + within_s
        while not good(text := self.text()):
            if time.monotonic() > deadline:
                raise SystemExit(f"the expected screen did not appear:\n{text}")
            time.sleep(0.05)
        return text

    def done(self) -> str:
        """Wait for the prompt, return the screen without it."""
        text = self.until(lambda text: text.endswith("\n$"), 120.0)
        return text.removesuffix("\n$")

    def keep(self, name: str, text: str) -> None:
        """Write a screen down."""
        (SCREENS / f"{name}-{self.columns}.txt").write_text(text + "\n", encoding="utf-8")

    def close(self) -> None:
        tmux("kill-session", "-t", self.name)


class Sandbox:
    """The stand-in API as a process; `steer` changes it."""

    def __init__(self, *options: str) -> None:
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


def tmux(*words: str) -> str:
    """Run one command of tmux, on a server of our own."""
    return subprocess.run(["tmux", "-L", SOCKET, *words], check=True, capture_output=True, text=True).stdout


def at_least(share: int) -> Callable[[str], bool]:
    """Return whether a region is so far."""
    return lambda text: (found := re.search(r"(\d+) % ", text)) is not None and int(found[1]) >= share


def capture(columns: int) -> None:
    """Capture every screen at one width."""
    home = Path(tempfile.gettempdir()) / secrets.token_hex(2)
    home.mkdir(0o700)
    assert len(str(home)) == len(SHOWN_HOME), "lines would break elsewhere"
    sandbox = Sandbox("--latency", "p50=150ms,p99=500ms", "--fail", "502:0.15", "--sessions", "3000", "--seed", "7")
    (home / "ids.txt").write_text("".join(f"{one}\n" for one in sandbox.ids()))
    at = Terminal(columns, home, sandbox.url)
    try:
        demo(at)
        run(at, sandbox)
        pauses(at, sandbox)
        whole(at, sandbox)
        finish(at, sandbox)
        mistakes(at)
    finally:
        at.close()
        sandbox.close()
        shutil.rmtree(home)


def demo(at: Terminal) -> None:
    at.type("reaper demo")
    at.keep("demo-running", at.until(at_least(70)))
    at.keep("demo-finished", at.done())
    if at.columns == 80:
        picture(at.text("-e"))


def run(at: Terminal, sandbox: Sandbox) -> None:
    at.type("reaper once ids.txt")
    at.keep("once-running", at.until(at_least(12)))
    sandbox.steer(latency="p50=2000ms,p99=3000ms")  # so slow that the end can be watched
    time.sleep(1.0)
    at.press("C-c")
    at.keep("once-stopping", at.until(lambda text: "stopping:" in text))
    at.keep("once-interrupted", at.done())
    sandbox.steer(latency="p50=150ms,p99=500ms")


def pauses(at: Terminal, sandbox: Sandbox) -> None:
    at.type("reaper once ids.txt")
    at.until(at_least(14))
    sandbox.steer(fail="429:20:1.0")
    at.until(lambda text: "PAUSED: throttled" in text)
    sandbox.steer(fail="502:0.15")
    at.keep("once-throttled", at.until(lambda text: "throttled, for 3 s" in text))
    at.press("C-c")
    at.done()
    at.type("reaper once ids.txt")
    at.until(at_least(16))
    sandbox.steer(token="archal_ws_other")
    at.keep("once-credentials", at.until(lambda text: "credentials, for 4 s" in text))
    at.press("C-c")
    at.done()
    sandbox.steer(token=TOKEN)
    at.type("reaper once ids.txt")
    at.until(at_least(18))
    sandbox.steer(mode="outage")
    at.keep("once-outage", at.until(lambda text: "api_down, for 6 s" in text))
    at.press("C-c")
    at.done()
    sandbox.steer(mode="ok")


def whole(at: Terminal, sandbox: Sandbox) -> None:
    """Capture the dashboard, beside a daemon that works."""
    sandbox.steer(fail="502:0.4", latency="p50=60ms,p99=900ms")
    environ = {"HOME": str(at.home), "PATH": os.environ["PATH"], "ARCHAL_TOKEN": TOKEN}
    environ |= {"REAPER_API__BASE_URL": sandbox.url, "REAPER_TELEMETRY__LISTEN": ""}
    daemon = subprocess.Popen([str(BIN / "reaper"), "run"], env=environ, stderr=subprocess.DEVNULL)
    try:
        at.type("reaper status --watch")
        at.keep("status-watch", at.until(lambda text: re.search(r"[56] sends  due in", text) is not None, 120.0))
        at.press("C-c")
        at.done()
        at.type("reaper status")
        at.keep("status", at.done())
    finally:
        daemon.terminate()
        daemon.wait()


def finish(at: Terminal, sandbox: Sandbox) -> None:
    sandbox.steer(fail="403:0.01,422:0.002,502:0.05", latency="p50=20ms,p99=100ms")
    at.type("reaper once ids.txt")
    at.keep("once-finished", at.done())
    at.type("reaper dead list --outcome rejected")
    at.keep("dead-list", at.done())
    environ = {"HOME": str(at.home), "PATH": os.environ["PATH"]}
    outcomes = subprocess.run([str(BIN / "reaper"), "outcomes", "--json"], env=environ, capture_output=True, check=True)
    item = max(map(json.loads, outcomes.stdout.splitlines()), key=lambda one: (one["attempts"] <= 6, one["attempts"]))
    at.type(f"reaper show {item['session_id']}")
    at.keep("show", at.done())


def mistakes(at: Terminal) -> None:
    at.type("reaper check")
    good = at.done()
    at.type("ARCHAL_TOKEN=archal_ws_wrong reaper check")
    bad = at.done()
    at.type("reaper check --base-url https://api.example.invalid")
    at.keep("check", "\n".join((good, bad, at.done())))
    (at.home / "odd.txt").write_text("env_1\nnot an id\n")
    answers = []
    for line in (
        "reaper onec ids.txt",
        "reaper once --dryrun ids.txt",
        "reaper once idz.txt",
        "reaper once --base-url http://example.com ids.txt",
        "reaper add --from odd.txt",
        "reaper show env_2",
        "cat ids.txt | reaper once",
        "REAPER_API__BASEURL=https://example.com reaper status",
    ):
        at.type(line)
        answers.append(at.done())
    at.keep("mistakes", "\n".join(answers))


def picture(screen: str) -> None:
    """Draw a screen with its colours as docs/img/demo.png."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=82, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text.from_ansi(screen.rstrip().removesuffix("$").rstrip()))
    drawn = console.export_svg(title="reaper demo")
    drawn = re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)
    _, _, wide, high = map(float, re.search(r'viewBox="([^"]*)"', drawn)[1].split())  # type: ignore[index]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "demo.html"
        style = "body{margin:0}svg{display:block}text{font-family:'DejaVu Sans Mono',monospace!important}"
        page.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{drawn}")
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={wide:.0f},{high:.0f}",
                "--default-background-color=00000000", f"--screenshot={ROOT}/docs/img/demo.png", str(page),
            ],
            check=True, capture_output=True,
        )  # fmt: skip


def write_page() -> None:
    """Write docs/screens.md from the screens of 80 columns; those of 140 lie beside them."""
    parts = [
        "# What you see\n\nEach screen as it stood on a terminal of 80 columns (`make screens` captures them anew). "
        "The same at 140 columns, and these as files, are in `docs/screens/`. The web page of the daemon is in "
        "[monitoring.md](monitoring.md).\n"
    ]
    for name, command, caption in PAGE:
        text = (SCREENS / f"{name}-80.txt").read_text(encoding="utf-8")
        parts.append(f"## {name.replace('-', ' ').capitalize()}\n\n`{command}`: {caption}\n\n```text\n{text}```\n")
    (ROOT / "docs" / "screens.md").write_text("\n".join(parts), encoding="utf-8")


def main() -> None:
    for columns in map(int, sys.argv[1:] or ("80", "140")):
        capture(columns)
    write_page()


if __name__ == "__main__":
    main()
