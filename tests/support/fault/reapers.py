"""Daemons on one shared queue, and what is asked of it from outside."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.fault.checker import Bounds
from tests.support.fault.engines import Engine
from tests.support.fault.evidence import peak, settle_up
from tests.support.processes.command import Command, aim, kill
from tests.support.processes.daemon import free_port
from tests.support.sandbox import RunningSandbox

QUICK = {"api__timeout_s": 4, "api__connect_timeout_s": 2, "worker__drain_timeout_s": 6, "queue__lease_s": 6}
"""Short times, so that leases of the dead run out while the test looks on."""


class Reapers:
    """Daemons on one queue; each as on a machine of its own."""

    def __init__(self, home: Path, sandbox: RunningSandbox, engine: Engine, count: int, **settings: object) -> None:
        self.commands = []
        self.running: list[subprocess.Popen[str]] = []
        self._logs = []
        for number in range(count):
            folder = home / f"reaper-{number}"
            folder.mkdir()
            command = Command(folder)
            listen = f"127.0.0.1:{free_port()}"
            aim(command, sandbox, queue__url=engine.url, telemetry__listen=listen, **{**QUICK, **settings})
            self.commands.append(command)
            self._logs.append((folder / "log").open("a"))
            self.running.append(self._start(number))

    def _start(self, number: int) -> subprocess.Popen[str]:
        return self.commands[number].start("run", stderr=self._logs[number])

    def kill(self, number: int) -> None:
        """kill -9, and start another in its place."""
        kill(self.running[number])
        self.running[number] = self._start(number)

    def restart_the_ended(self) -> None:
        """As a service manager does."""
        for number, process in enumerate(self.running):
            if process.poll() is not None:
                process.communicate()
                self.running[number] = self._start(number)

    def events(self, name: str) -> list[dict[str, object]]:
        logs = [(command.home / "log").read_text().splitlines() for command in self.commands]
        found = [json.loads(line) for log in logs for line in log if line.startswith("{")]
        return [event for event in found if event["event"] == name]

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                kill(process)
            process.communicate()
        for log in self._logs:
            log.close()


def waiting(command: Command) -> int | None:
    """Return how many IDs are open; None while the engine is away."""
    done = command.run("status", "--json")
    if done.returncode == 69:
        return None
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    return int(status["ready"] + status["delayed"] + status["in_flight"])


def operator(command: Command, sandbox: RunningSandbox, engine: Engine) -> Command:
    """Let the command read the queue and put IDs into it."""
    aim(command, sandbox, queue__url=engine.url, **QUICK)
    return command


def check_all_stopped(
    command: Command, sandbox: RunningSandbox, ids: list[str], reapers: Reapers, bounds: Bounds
) -> None:
    """Hold the queue against what the server did; none may have failed for good."""
    logs = [one.home / "log" for one in reapers.commands]
    found = settle_up(command, sandbox.deletes, ids, bounds, logs=logs, peak_in_flight=peak(sandbox))
    assert {row["outcome"] for row in found.rows} <= {"stopped", "already_gone"}
