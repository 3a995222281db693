"""A mount that stalls under a file that reaper reads while it works: `stat` does not return."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from reaper.api.credentials import Credentials
from reaper.app.bounded import Bounded
from reaper.app.console.routes import check_admin_file
from reaper.core.errors import ConfigError
from reaper.core.model import SessionId
from reaper.intake.discovery.owners import OwnersSource
from reaper.intake.discovery.protection_file import Protector
from reaper.settings.schema import Settings
from reaper.settings.sections import TelemetrySettings


class Mount:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.answers = threading.Event()
        self.answers.set()
        self.waiting = 0


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    made, stat = Mount(tmp_path), os.stat

    def stall(path: Any, *args: Any, **more: Any) -> os.stat_result:
        if str(path).startswith(str(tmp_path)):
            made.waiting += 1
            made.answers.wait()
            made.waiting -= 1
        return stat(path, *args, **more)

    monkeypatch.setattr(os, "stat", stall)
    yield made
    made.answers.set()


def test_the_last_protection_stays_in_force_and_that_is_told_once(mount: Mount) -> None:
    told: list[str] = []
    file = mount.directory / "protect"
    file.write_text("env_1\n")
    held = Protector(file=file, on_failure=told.append, run_blocking=Bounded(0.1))
    assert held.now().of_id(SessionId("env_1"))
    mount.answers.clear()
    began = time.monotonic()
    for _ in range(200):
        assert held.now().of_id(SessionId("env_1"))
    assert time.monotonic() - began < 1.0
    assert mount.waiting == 1, "a stall costs one thread"
    assert [sentence.count("a mount that stalled?") for sentence in told] == [1]
    mount.answers.set()
    file.write_text("env_2\n")
    deadline = time.monotonic() + 5
    while not held.now().of_id(SessionId("env_2")):
        assert time.monotonic() < deadline


def test_a_token_stays_while_its_file_does_not_answer(mount: Mount) -> None:
    file = mount.directory / "token"
    file.write_text("one")
    held = Credentials(file, None, Bounded(0.1))
    mount.answers.clear()
    began = time.monotonic()
    assert [held.refresh() for _ in range(50)] == [False] * 50
    assert time.monotonic() - began < 1.0
    assert held.current.value == "one"
    mount.answers.set()
    file.write_text("another")
    deadline = time.monotonic() + 5
    while not held.refresh():
        assert time.monotonic() < deadline
    assert held.current.value == "another"


def test_a_token_file_that_never_answered_is_named(mount: Mount) -> None:
    file = mount.directory / "token"
    file.write_text("one")
    mount.answers.clear()
    held = Credentials(file, None, Bounded(0.1))
    assert "a mount that stalled?" in (held.current.missing_reason or "")
    mount.answers.set()


def test_a_file_of_persons_that_does_not_answer_is_refused(mount: Mount) -> None:
    file = mount.directory / "admins"
    file.write_text(f"ann {'a' * 32}\n")
    file.chmod(0o600)
    settings, bounded = Settings(telemetry=TelemetrySettings(admin_token_file=file)), Bounded(0.1)
    check_admin_file(settings, bounded)
    mount.answers.clear()
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(ConfigError, match=r"telemetry.admin_token_file: .* cannot be read: .*a mount that stalled"):
            check_admin_file(settings, bounded)
    assert time.monotonic() - began < 1.0
    assert mount.waiting == 1, "a stall costs one thread"


def test_owners_that_do_not_answer_count_as_alive(mount: Mount) -> None:
    told: list[str] = []
    file = mount.directory / "owners"
    file.write_text("batch\n")
    mount.answers.clear()
    source = OwnersSource(file=file, timeout_s=0.2, on_failure=told.append)

    async def read() -> None:
        assert await source.read() is None
        mount.answers.set()

    anyio.run(read)
    assert "could not be read within 0.2 s" in told[0]
