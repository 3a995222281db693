"""Runs the installed command as a process in a world of its own: no environment but what the test gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.json_contract import check_lines, check_output
from tests.support.processes import fork_server
from tests.support.sandbox import RunningSandbox

TOKEN = "archal_ws_sandbox"


@dataclass(slots=True)
class Command:
    """`reaper` with a state directory in `home`; `env` holds its REAPER_ variables."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    keeps_contract: bool = True
    """Whether docs/json.md is true of it: an older version printed other keys."""

    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ARCHAL_TOKEN": TOKEN,
            **_measured(),
            **self.env,
        }

    @property
    def ledger(self) -> Path:
        return self.home / "state" / "reaper" / "reaper.db"

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "reaper", *args],
            env=self.environ(),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=options.pop("stderr", subprocess.PIPE),
            text=True,
            **options,
        )

    def run(self, *args: str, timeout_s: float = 60.0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end. All JSON that it prints is held against docs/json.md."""
        environ = self.environ()
        if fork_server.can_fork(environ):
            done = fork_server.run(args, environ, self.home, stdin or "", timeout_s)
        else:
            done = subprocess.run(
                [sys.executable, "-m", "reaper", *args],
                env=environ,
                cwd=self.home,
                input=stdin or "",
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        if self.keeps_contract:
            check_output(args if "--json" in args else (), done.stdout)
            check_lines(done.stderr)
        return done

    def json(self, *args: str, code: int = 0, timeout_s: float = 60.0) -> Any:
        """Run with `--json` and return what was printed; the exit code must be `code`."""
        done = self.run(*args, "--json", timeout_s=timeout_s)
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-4000:])
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    def outcomes(self) -> dict[str, str]:
        """Return every settled ID's outcome; fails when one has two."""
        done = self.run("outcomes", "--json")
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        found = {row["session_id"]: row["outcome"] for row in rows}
        assert len(found) == len(rows), "an ID has two outcomes"
        return found

    def audit(self) -> None:
        done = self.run("audit")
        assert done.returncode == 0, done.stdout + done.stderr


def _measured() -> dict[str, str]:
    """Pass on the environment of `make coverage` to the processes that it measures."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    process.send_signal(number)
    process.communicate(timeout=60)


def write_ids(path: Path, ids: Sequence[str]) -> Path:
    path.write_text("".join(f"{one}\n" for one in ids))
    return path


def aim(command: Command, sandbox: RunningSandbox, **settings: object) -> None:
    """Point the command at the stand-in; `worker__concurrency=8` sets REAPER_WORKER__CONCURRENCY."""
    command.env |= {"REAPER_API__BASE_URL": sandbox.url, "REAPER_WORKER__ADAPTIVE": "false"}
    command.env |= {f"REAPER_{name.upper()}": str(value) for name, value in settings.items()}
