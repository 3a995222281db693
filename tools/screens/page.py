"""docs/screens.md from the captured screens, and the picture of the README."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from tools.screens.terminal import ROOT, SCREENS

HEAD = """\
# What you see

Each screen as it stood on a terminal of 80 columns (`make screens` captures them anew). The same at 40 columns, as on
a telephone, and at 140, and these as files, are in `docs/screens/`. The web page of the daemon is in
[monitoring.md](monitoring.md). What was found wrong on them, and mended, is in [screens-review.md](screens-review.md).
"""
PAGE = (
    (
        "Runs",
        (
            (
                "demo-running",
                "reaper demo",
                "The demo at work: 500 sessions of a stand-in API that fails now and then.",
            ),
            ("demo-finished", "reaper demo", "Finished: every number is explained."),
            ("once-running", "reaper once ids.txt", "A run: its progress, its rate, the time left, and the retries."),
            (
                "once-stopping",
                "reaper once ids.txt",
                "After Ctrl-C: reaper sends nothing new and waits for what is in flight.",
            ),
            ("once-interrupted", "reaper once ids.txt", "Stopped early: open IDs stay queued."),
            ("once-finished", "reaper once ids.txt", "Finished with dead letters: each kind with its command."),
            ("once-again", "reaper once ids.txt", "The same again: what this run did, and what earlier ones did."),
            ("exec", "reaper exec", "A command whose session is stopped when it ends; and one that is not run."),
            ("run", "reaper run", "The daemon on a terminal: its figures below its log."),
            ("run-stopping", "reaper run", "The daemon after Ctrl-C."),
        ),
    ),
    (
        "Pauses",
        (
            ("once-throttled", "reaper once ids.txt", "Paused: the API asked clients to wait."),
            (
                "once-credentials",
                "reaper once ids.txt",
                "Paused: the API refuses the token. What to do, and when the run ends.",
            ),
            ("once-outage", "reaper once ids.txt", "Paused: the API is down."),
            ("pause", "reaper pause", "Paused by an operator."),
        ),
    ),
    (
        "The queue",
        (
            ("add", "reaper add", "IDs for now and for later, and one that is known."),
            ("status", "reaper status", "The whole queue, once."),
            ("status-watch", "reaper status --watch", "The whole queue, again and again, while a daemon works."),
            ("status-killed", "reaper status", "After a kill -9 of the daemon: nothing is in flight."),
            ("list", "reaper list", "Every ID in the queue, and a choice of them."),
            ("show", "reaper show ID", "One session: its events in the order of time, and what to do next."),
            ("show-retrying", "reaper show ID", "One that waits for another try."),
            ("cancel", "reaper cancel --from FILE", "Many at once: counted first, then asked for."),
            ("dead-list", "reaper dead list --outcome rejected", "Dead letters, each with its reason."),
            ("audit", "reaper audit", "The books, in a sentence and in full."),
        ),
    ),
    (
        "Discovery",
        (
            ("sessions", "reaper sessions --would-stop", "The account's sessions, and why discovery would stop them."),
            ("once-discover", "reaper once --discover --dry-run", "A sweep that changes nothing, rule by rule."),
            ("holds", "reaper holds", "A sweep that a guard holds, and an operator's decision."),
        ),
    ),
    (
        "Settings and faults",
        (
            ("check", "reaper check", "One line for each check; a fault comes with its remedy."),
            ("config", "reaper config", "A new settings file, and where each setting comes from."),
            ("mistakes", "reaper …", "Mistakes: what is wrong, where, and what to do."),
        ),
    ),
)
"""Of each screen: the name of its files, the command, and its caption."""


def names() -> list[str]:
    """Return the name of every screen."""
    return [name for _, screens in PAGE for name, _, _ in screens]


def write_page() -> None:
    """Write docs/screens.md from the screens of 80 columns."""
    parts = [HEAD]
    for title, screens in PAGE:
        parts.append(f"## {title}\n")
        for name, command, caption in screens:
            text = (SCREENS / f"{name}-80.txt").read_text(encoding="utf-8")
            head = name.replace("-", " ").capitalize()
            parts.append(f"### {head}\n\n`{command}`: {caption}\n\n```text\n{text}```\n")
    (ROOT / "docs" / "screens.md").write_text("\n".join(parts), encoding="utf-8")


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
