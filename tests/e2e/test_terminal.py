"""On a terminal: what is drawn and what is not, and that nothing of it is left behind or gets into a pipe."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.terminal import HIDE, on_terminal
from tests.support.sandbox import RunningSandbox, running_sandbox

SESSIONS = 40


@pytest.fixture
def slow(command: Command) -> Iterator[RunningSandbox]:
    """A sandbox that takes two seconds for forty IDs."""
    with running_sandbox(SESSIONS, latency="100ms") as sandbox:
        aim(command, sandbox, worker__concurrency=2)
        write_ids(command.home / "ids.txt", list(sandbox.do(lambda it: list(it.sessions.active))))
        yield sandbox


def test_a_region_is_drawn_instead_of_a_line_for_each_session_and_ends_in_a_table(
    command: Command, slow: RunningSandbox
) -> None:
    seen = on_terminal(command, "once", "ids.txt")
    assert seen.code == 0, seen.text
    assert HIDE in seen.screen
    assert "2 in flight of at most 2" in seen.text
    assert ": stopped (204)" not in seen.text
    assert "stopped 40 100.0%" in " ".join(seen.text.split())
    assert seen.clean


def test_v_shows_the_lines_too(command: Command, slow: RunningSandbox) -> None:
    seen = on_terminal(command, "once", "ids.txt", "-v")
    assert seen.text.count(": stopped (204)") == 40
    assert HIDE in seen.screen
    assert seen.clean


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["-q"], {}),
        ([], {"term": "dumb"}),
        ([], {"columns": 39}),
        ([], {"env": {"REAPER_TELEMETRY__LOG_FORMAT": "json"}}),
    ],
)
def test_no_region_where_none_is_wanted_or_none_can_be(
    command: Command, slow: RunningSandbox, words: list[str], options: dict[str, object]
) -> None:
    seen = on_terminal(command, "once", "ids.txt", *words, **options)  # type: ignore[arg-type]
    assert seen.code == 0
    assert HIDE not in seen.screen
    assert "in flight of at most" not in seen.text
    assert ("session.settled" in seen.text) == ("env" in options)
    assert ("reaper: stopping 40 sessions, at most 2 at once" in " ".join(seen.text.split())) == (
        not words and "env" not in options
    )


def test_no_color_has_a_region_without_colours(command: Command, slow: RunningSandbox) -> None:
    seen = on_terminal(command, "once", "ids.txt", env={"NO_COLOR": "1"})
    assert HIDE in seen.screen
    assert not any(f"\x1b[{code}m" in seen.screen for code in (31, 32, 33, 36, "38;5;197"))
    assert seen.clean


def test_json_goes_to_the_pipe_whole_and_the_terminal_has_json_lines(command: Command, slow: RunningSandbox) -> None:
    seen = on_terminal(command, "once", "ids.txt", "--json", piped=True)
    assert json.loads(seen.piped)["stopped"] == 40
    assert json.loads(seen.text.splitlines()[-1])["event"] == "reaper.exited"
    assert "\x1b" not in seen.piped + seen.screen


def test_ctrl_c_ends_what_is_in_flight_and_leaves_the_terminal_clean(command: Command, slow: RunningSandbox) -> None:
    def when(screen: str, process: subprocess.Popen[bytes]) -> bool:
        if "in flight of at most" not in screen:
            return False
        process.send_signal(signal.SIGINT)
        return True

    seen = on_terminal(command, "once", "ids.txt", when=when)
    assert seen.code == 75
    assert "stopped early: a signal asked for it" in seen.text
    assert "Traceback" not in seen.text
    assert seen.clean
    assert command.run("once").returncode == 0
    command.audit()


def test_a_pause_is_shown_with_what_to_do(command: Command, slow: RunningSandbox) -> None:
    command.env |= {"ARCHAL_TOKEN": "archal_ws_wrong", "REAPER_API__CREDENTIALS_WAIT_S": "4"}
    seen = on_terminal(command, "once", "ids.txt")
    assert seen.code == 77
    assert "PAUSED: credentials" in seen.text
    assert "write a good token" in seen.text
    assert re.search(r"else this run ends in [123] s", seen.text)
    assert "archal_ws_wrong" not in seen.text
    assert seen.clean


def test_a_reader_that_leaves_early_breaks_nothing(command: Command, slow: RunningSandbox, tmp_path: Path) -> None:
    reaper = f"{shlex.quote(sys.executable)} -m reaper"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {reaper} once ids.txt | head -n 0; {reaper} outcomes | head -n 1"],
        env=command.environ(), cwd=command.home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 141), "as of a program that SIGPIPE ended, if its reader left before its last line"
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_where_nothing_is_drawn_rich_is_not_imported(command: Command) -> None:
    (command.home / "empty").touch()
    code = "import sys; from reaper.__main__ import main; main(sys.argv[1:]); print('rich' in sys.modules)"
    for words in (["once", "empty"], ["add", "ses-1"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**command.environ(), "PYTHONPATH": os.getcwd()}, cwd=command.home, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout.endswith("False\n"), (words, done.stdout, done.stderr)


@pytest.mark.parametrize("log_format", ["auto", "json"])
def test_without_a_terminal_a_line_shows_the_progress(command: Command, slow: RunningSandbox, log_format: str) -> None:
    code = (
        "import sys; from reaper.cli.terminal import progress; progress.LINE_S = 0.3; progress.REFRESH_S = 0.1\n"
        "from reaper.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    (command.home / "more.txt").write_text("env_gone\n")
    done = subprocess.run(
        [sys.executable, "-c", code, "once", "ids.txt", "more.txt"],
        env={**command.environ(), "PYTHONPATH": os.getcwd(), "REAPER_TELEMETRY__LOG_FORMAT": log_format},
        cwd=command.home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if log_format == "auto":
        assert "\x1b" not in done.stderr
        assert "reaper: stopping 41 sessions, at most 2 at once\n" in done.stderr
        assert re.search(r"^[0-9:]{8} \d+ of 41 settled, ", done.stderr, re.M)
        assert re.search(r"^[0-9:]{8} env_gone: already gone \(404\)$", done.stderr, re.M)
        assert ": stopped" not in done.stderr
        return
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    written = [line for line in lines if line["event"] == "once.progressed"]
    assert (written[0]["total"], written[0]["limit"], written[0]["level"]) == (41, 2, "info")
    assert 0 < written[-1]["done"] <= 41
    assert len([line for line in lines if line["event"] == "session.settled"]) == 41
    assert (lines[-1]["event"], lines[-1]["exit"]) == ("reaper.exited", 0)


def test_status_watch_has_a_screen_of_its_own_and_gives_the_old_one_back(command: Command) -> None:
    command.run("add", "ses-1", "ses-2")

    def when(screen: str, process: subprocess.Popen[bytes]) -> bool:
        if "oldest due" not in screen:
            return False
        process.send_signal(signal.SIGINT)
        return True

    seen = on_terminal(command, "status", "--watch", when=when)
    assert seen.code == 0, seen.text
    assert "\x1b[?1049h" in seen.screen
    assert "Traceback" not in seen.text
    assert seen.clean


def test_status_watch_into_a_pipe_is_plain_text_again_and_again(command: Command) -> None:
    command.run("add", "ses-1")
    process = command.start("status", "--watch")
    assert process.stdout is not None
    text = "".join(process.stdout.readline() for _ in range(20))
    process.send_signal(signal.SIGINT)
    rest, written = process.communicate(timeout=30)
    assert (process.returncode, written) == (0, "")
    assert (text + rest).count("ready  ") >= 2
    assert "\x1b" not in text


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_run_shows_its_board_above_its_log_and_gives_the_screen_back(command: Command, slow: RunningSandbox) -> None:
    command.env["REAPER_TELEMETRY__LISTEN"] = ""
    command.run("add", "--from", "ids.txt", "env_gone")
    steps = iter([
        ("env_gone: already gone", signal.SIGTSTP),
        ("\x1b[?1049l", signal.SIGCONT),
        ("\x1b[?1049l", signal.SIGINT),
    ])  # fmt: skip
    wanted: list[tuple[str, signal.Signals]] = [next(steps)]
    seen_until = [0]

    def when(screen: str, process: subprocess.Popen[bytes]) -> bool:
        text, number = wanted[0]
        if text not in screen[seen_until[0] :] or (number is signal.SIGINT and screen.count("\x1b[?1049h") < 2):
            return False
        # One that no shell controls is not stopped: it goes on by itself.
        if number is signal.SIGCONT and not is_stopped(process.pid) and screen.count("\x1b[?1049h") < 2:
            return False
        process.send_signal(number)
        seen_until[0] = len(screen) if number is signal.SIGTSTP else seen_until[0]
        if (step := next(steps, None)) is None:
            return True
        wanted[0] = step
        return False

    seen = on_terminal(command, "run", when=when)
    assert seen.code == 0, seen.text
    assert (seen.screen.count("\x1b[?1049h"), seen.screen.count("\x1b[?1049l")) == (2, 2), "Ctrl-Z, and the end"
    assert "reaper run" in seen.text
    assert "Traceback" not in seen.text
    assert seen.clean
    after = seen.screen.rpartition("\x1b[?1049l")[2]
    assert "ended with exit code 0" in after, "the old screen does not show how it ended"


@pytest.mark.parametrize(("words", "options"), [(["-q"], {}), ([], {"term": "dumb"}), ([], {"env": {"CI": "1"}})])
def test_run_has_a_plain_log_where_nothing_may_be_drawn(
    command: Command, words: list[str], options: dict[str, object]
) -> None:
    command.env |= {"REAPER_TELEMETRY__LISTEN": "", "REAPER_API__BASE_URL": "https://127.0.0.1:9"}

    def when(screen: str, process: subprocess.Popen[bytes]) -> bool:
        if "api_down" not in screen:
            return False
        process.send_signal(signal.SIGINT)
        return True

    seen = on_terminal(command, "run", *words, when=when, **options)  # type: ignore[arg-type]
    assert seen.code == 0, seen.text
    assert not re.search(r"\x1b\[[?0-9;]*[hlHJK]", seen.screen)
