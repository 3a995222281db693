"""Only a regular file is opened, also when another one gets its name between the look and the opening."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reaper.core.files import open_regular
from tests.support.left_behind import descriptors


def test_a_file_that_is_swapped_while_it_is_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ids"
    path.touch()
    really_open = os.open

    def open_late(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        path.unlink()
        os.mkfifo(path)
        return really_open(name, flags, mode, dir_fd=dir_fd)

    before = descriptors()
    monkeypatch.setattr(os, "open", open_late)
    with pytest.raises(OSError, match="FIFO"):
        open_regular(str(path))
    monkeypatch.undo()
    assert descriptors() <= before, "nothing stays open"
