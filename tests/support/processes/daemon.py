"""A daemon as a process: started, watched through its log and its pages, and killed at the end of the block."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.eventually import eventually
from tests.support.json_contract import check_lines
from tests.support.processes.command import Command, aim, kill
from tests.support.sandbox import RunningSandbox


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def watch(command: Command, sandbox: RunningSandbox, **settings: object) -> None:
    """Point the daemon at the stand-in and let it listen on a port of its own."""
    aim(command, sandbox, telemetry__listen=f"127.0.0.1:{free_port()}", **settings)


@contextmanager
def daemon(command: Command, *args: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    log = (command.home / "daemon.log").open("a")
    process = command.start("run", *args, stderr=log, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            kill(process)
        process.communicate()
        log.close()
    if command.keeps_contract:
        check_lines((command.home / "daemon.log").read_text())


def events(command: Command, name: str) -> list[dict[str, object]]:
    lines = (command.home / "daemon.log").read_text().splitlines()
    return [event for line in lines if line.startswith("{") and (event := json.loads(line))["event"] == name]


def page(command: Command, path: str) -> tuple[int, str]:
    url = f"http://{command.env['REAPER_TELEMETRY__LISTEN']}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # our own loopback listener
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def configure(command: Command, text: str) -> None:
    """Write the file that the command reads."""
    path = command.home / "reaper.toml"
    path.write_text(text)
    command.env["REAPER_CONFIG"] = str(path)


def reload(command: Command, process: subprocess.Popen[str], event: str = "config.reloaded") -> dict[str, object]:
    """Send SIGHUP and return what was said of it."""
    before = len(events(command, event))
    process.send_signal(signal.SIGHUP)
    eventually(lambda: len(events(command, event)) > before, 10)
    return events(command, event)[-1]
