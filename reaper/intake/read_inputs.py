"""Reads the state of the inputs as a look at the files shows it, in any process: nothing is taken in or moved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from reaper.core.input_facts import InputFacts
from reaper.core.text import shown_path
from reaper.intake.followed_paths import describe_entry


def read_inputs(files: Sequence[Path], spool_dir: Path | None) -> InputFacts:
    """Return the facts about `intake.files` and `intake.spool_dir`. Blocks, also for long on a mount that stalled."""
    described = [describe_entry(str(entry)) for entry in files]
    missing = tuple(sentence for is_there, sentence in described if not is_there)
    if spool_dir is None:
        return InputFacts(missing)
    bad = os.path.join(spool_dir, "bad")
    return InputFacts(missing, _count(bad), shown_path(bad))


def _count(directory: str) -> int | None:
    try:
        return len(os.listdir(directory))
    except FileNotFoundError:
        return 0  # not made yet
    except OSError:
        return None
