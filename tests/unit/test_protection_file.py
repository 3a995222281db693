"""What is protected now: settings, and a file that is read again when it changes and never forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reaper.core.errors import ConfigError
from reaper.core.model import SessionId
from reaper.intake.discovery.protection_file import Protector


def spares(protector: Protector, session_id: str) -> bool:
    return protector.now().of_id(SessionId(session_id)) is not None


def test_settings_alone() -> None:
    protector = Protector(("env_1",), ("env_demo*",))
    assert [spares(protector, one) for one in ("env_1", "env_2", "env_demo7")] == [True, False, True]
    assert not Protector().now()


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "protected"
    path.write_text("env_1\n")
    protector = Protector(("env_9",), file=path)
    assert [spares(protector, one) for one in ("env_1", "env_2", "env_9")] == [True, False, True]
    path.write_text("env_2\n# env_1\n")
    os.utime(path, ns=(1, 1))
    assert [spares(protector, one) for one in ("env_1", "env_2", "env_9")] == [False, True, True]


def test_what_a_lost_file_said_stays_in_force_and_is_told_once(tmp_path: Path) -> None:
    path, failures = tmp_path / "protected", list[str]()
    path.write_text("env_1\n")
    protector = Protector(file=path, on_failure=failures.append)
    assert spares(protector, "env_1")
    path.unlink()
    assert spares(protector, "env_1")
    assert spares(protector, "env_1")
    assert len(failures) == 1
    path.write_bytes(b"\xff\xfe")
    assert spares(protector, "env_1")
    assert len(failures) == 2
    path.write_text("env_3\n")
    assert [spares(protector, one) for one in ("env_1", "env_3")] == [False, True]


def test_an_entry_that_can_match_nothing_makes_the_file_refused(tmp_path: Path) -> None:
    path, failures = tmp_path / "protected", list[str]()
    path.write_text("env_1\n")
    protector = Protector(file=path, on_failure=failures.append)
    assert spares(protector, "env_1")
    path.write_text('env_2\n"env_3"\n')
    assert [spares(protector, one) for one in ("env_1", "env_2", "env_1")] == [True, False, True]
    (failure,) = failures
    assert f"{path} cannot be used: line 2 can match nothing: it is quoted" in failure
    assert failure.endswith("its last content stays in force")
    path.write_text("env_2\nenv_3\n\n")
    assert [spares(protector, one) for one in ("env_1", "env_2", "env_3")] == [False, True, True]
    path.write_text("env_1,\n")
    with pytest.raises(ConfigError, match="line 1 can match nothing: it begins or ends with a comma"):
        Protector(file=path).now()


def test_a_file_that_was_never_readable_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Protector(("env_1",), file=tmp_path / "none").now()
