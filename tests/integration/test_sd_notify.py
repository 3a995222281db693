"""The datagrams to systemd."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from reaper.telemetry.sd_notify import Notifier, notifier_of


def test_fields_arrive_as_lines(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        Notifier(path).notify(READY="1", STATUS="two\nlines")
        assert manager.recv(1000) == b"READY=1\nSTATUS=two lines"


def test_nobody_listens(tmp_path: Path) -> None:
    Notifier(None).notify(READY="1")
    Notifier(str(tmp_path / "none")).notify(READY="1")


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_for_this_process_only(environ: dict[str, str], watchdog_s: float) -> None:
    assert notifier_of(environ, pid=7).watchdog_s == watchdog_s
