"""JSON logs are JSON lines from the first byte of stderr to the last, whatever writes there and however it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOKEN = "archal_ws_very-secret"
STRAY = """
import logging, sys, threading, warnings
from reaper.cli import main

class Lost:
    def __del__(self):
        raise ValueError("lost by the collector " + TOKEN)

def in_thread():
    raise ValueError("lost in a thread")

def run(args):
    print("a", "print", file=sys.stderr)
    warnings.warn("a warning", stacklevel=1)
    logging.getLogger("some.library").error("a record")
    Lost()
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    sys.stderr.write("a line without end")
    raise RuntimeError("the end " + TOKEN)

TOKEN = sys.argv.pop(1)
main.load_verb = lambda name: (lambda parser: None, run)
code = main.dispatch(sys.argv[1:])
sys.stderr.write("after the end")
sys.stderr.flush()
sys.exit(code)
"""


def stderr_of(
    words: list[str], home: Path, code: int, program: str = "", **env: str
) -> tuple[list[dict[str, object]], str]:
    """Run a command line, or a program; return the events on its stderr, and that as text."""
    start = ["-W", "always", "-c", program, TOKEN] if program else ["-m", "reaper"]
    done = subprocess.run(
        [sys.executable, *start, *words],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_STATE_HOME": str(home), "PYTHONPATH": os.getcwd(),
             "ARCHAL_TOKEN": TOKEN, **env},
        cwd=home, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()], done.stderr


def test_whatever_is_written_beside_the_log_is_an_event(tmp_path: Path) -> None:
    found, text = stderr_of(["status", "--json", "-v"], tmp_path, 1, STRAY)
    assert TOKEN not in text
    assert [event["event"] for event in found if event["event"] != "stderr.written"][1:] == [
        "a record", "exception.ignored", "exception.ignored", "reaper.exited",
    ]  # fmt: skip
    assert [event["detail"] for event in found if event["event"] == "stderr.written"] == [
        "a print", "a line without end", "after the end",
    ]  # fmt: skip
    warned, (collected, thread) = found[1], [one for one in found if one["event"] == "exception.ignored"]
    assert "UserWarning: a warning" in str(warned["event"])
    assert "lost by the collector" in str(collected["exception"])
    assert "lost in a thread" in str(thread["exception"])
    (end,) = (event for event in found if event["event"] == "reaper.exited")
    assert (end["exit"], end["error"]) == (1, "internal error: RuntimeError: the end ********")
    assert "Traceback" in str(end["exception"])


@pytest.mark.parametrize(
    ("words", "code", "env"),
    [
        (["once", "--limt", "3", "--json"], 2, {}),
        (["run", "--on-term", "x"], 2, {}),
        (["run"], 78, {"REAPER_API__TIMEOUT_S": "-1"}),
        (["once"], 78, {"REAPER_TELEMETRY__LOG_FORMAT": "json", "ARCHAL_TOKEN": ""}),
        (["status"], 69, {"REAPER_TELEMETRY__LOG_FORMAT": "json", "PYTHONIOENCODING": "latin-1"}),
        (["health"], 1, {"REAPER_TELEMETRY__LOG_FORMAT": "json", "REAPER_TELEMETRY__LISTEN": ""}),
    ],
)
def test_each_early_end_is_one_event_with_error_and_exit(
    words: list[str], code: int, env: dict[str, str], tmp_path: Path
) -> None:
    (event,), _ = stderr_of(words, tmp_path, code, **env)
    assert (event["event"], event["exit"]) == ("reaper.exited", code)
    assert event["error"]
