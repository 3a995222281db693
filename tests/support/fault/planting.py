"""Plants a mistake: a copy of the package in which one piece of text is another."""

from __future__ import annotations

import shutil
from pathlib import Path

import reaper


def plant(home: Path, file: str, right: str, wrong: str) -> Path:
    """Return a directory with the copy. Fails when the text is not there exactly once: the plant has gone stale."""
    home.mkdir()
    shutil.copytree(Path(reaper.__file__).parent, home / "reaper", ignore=shutil.ignore_patterns("__pycache__"))
    path = home / "reaper" / file
    text = path.read_text()
    assert text.count(right) == 1, f"{file} has changed: {right!r} is there {text.count(right)} times"
    path.write_text(text.replace(right, wrong))
    return home
