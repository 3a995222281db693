"""The screens of runs over thousands of sessions, of their pauses and of their ends."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable

from tools.screens.page import picture
from tools.screens.terminal import BIN, TOKEN, Stage, stage

SANDBOX = ("--latency", "p50=150ms,p99=500ms", "--fail", "502:0.15", "--sessions", "3000", "--seed", "7")


def capture_runs(columns: int) -> None:
    """Capture them at one width."""
    with stage(columns, *SANDBOX) as on:
        _demo(on)
        _run(on)
        _pauses(on)
        _whole(on)
        _finish(on)


def _share(least: int) -> Callable[[str], bool]:
    """Return whether a display is so far."""
    return lambda text: (found := re.search(r"(\d+) % ", text)) is not None and int(found[1]) >= least


def _demo(on: Stage) -> None:
    on.at.type("reaper demo")
    on.at.keep("demo-running", on.at.until(_share(70)))
    on.at.keep("demo-finished", on.at.done())
    if on.at.columns == 80:
        picture(on.at.text("-e", "-S", "-"))


def _run(on: Stage) -> None:
    on.at.type("reaper once ids.txt")
    on.at.keep("once-running", on.at.until(_share(12)))
    on.api.steer(latency="p50=2000ms,p99=3000ms")  # so slow that the end can be watched
    time.sleep(1.0)
    on.at.press("C-c")
    on.at.keep("once-stopping", on.at.until_shown("stopping:"))
    on.at.keep("once-interrupted", on.at.done())
    on.api.steer(latency="p50=150ms,p99=500ms")


def _pauses(on: Stage) -> None:
    on.at.type("reaper once ids.txt")
    on.at.until(_share(14))
    on.api.steer(fail="429:20:1.0")
    on.at.until_shown("PAUSED: throttled")
    on.api.steer(fail="502:0.15")
    on.at.keep("once-throttled", on.at.until_shown("throttled, for 3 s"))
    _interrupt(on)
    on.at.type("reaper once ids.txt")
    on.at.until(_share(16))
    on.api.steer(token="archal_ws_other")
    on.at.keep("once-credentials", on.at.until_shown("credentials, for 4 s"))
    _interrupt(on)
    on.api.steer(token=TOKEN)
    on.at.type("reaper once ids.txt")
    on.at.until(_share(18))
    on.api.steer(mode="outage")
    on.at.keep("once-outage", on.at.until_shown("api_down, for 6 s"))
    _interrupt(on)
    on.api.steer(mode="ok")


def _interrupt(on: Stage) -> None:
    on.at.press("C-c")
    on.at.done()


def _whole(on: Stage) -> None:
    """Capture the dashboard, beside a daemon that works."""
    on.api.steer(fail="502:0.4", latency="p50=60ms,p99=900ms")
    with on.daemon():
        on.at.type("reaper status --watch")
        on.at.keep("status-watch", on.at.until_shown(r"in flight +[1-9](.|\n)*[4-6] sends,? +due", 120.0))
        _interrupt(on)
        on.at.keep("status", on.at.answers("reaper status"))


def _finish(on: Stage) -> None:
    on.api.steer(fail="403:0.01,422:0.002,502:0.05", latency="p50=20ms,p99=100ms")
    on.at.keep("once-finished", on.at.answers("reaper once ids.txt"))
    on.at.keep("once-again", on.at.answers("reaper once ids.txt"))
    on.at.keep("dead-list", on.at.answers("reaper dead list --outcome rejected"))
    words = [str(BIN / "reaper"), "outcomes", "--json"]
    outcomes = subprocess.run(words, env=on.environ, capture_output=True, check=True)
    item = max(map(json.loads, outcomes.stdout.splitlines()), key=lambda one: (one["attempts"] <= 6, one["attempts"]))
    on.at.keep("show", on.at.answers(f"reaper show {item['session_id']}"))
    on.at.keep("audit", on.at.answers("reaper audit", "reaper audit -v"))
