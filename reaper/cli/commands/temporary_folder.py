"""The folder of one demo or sandbox, which goes with it; one that was killed leaves it, and the next removes it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reaper.core.errors import UsageError

LOCK = "lock"
"""A file that its process keeps locked while it lives; the system unlocks it when the process ends, however it ends."""
LEDGER_THREAD = "reaper-ledger"
"""The name of the thread that has the ledger open (`queues/sqlite/thread.py`)."""
THREAD_S = 5.0
"""The time that this thread has to end after a signal, before the folder is removed; seconds."""


@contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """Make a private folder, named after the `kind` of process that it belongs to, and remove it at the end.

    Raises UsageError where none can be made, as in a container whose file system is read-only.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(kind)))
    except OSError as error:
        reason = f"the folder for the ledger of the {kind} cannot be made: {error.strerror}"
        raise UsageError(f"{reason}; set TMPDIR to a directory that this user may write to") from error
    # Locked before it has its name: no other process takes the folder for an abandoned one.
    descriptor = os.open(folder / f"{LOCK}.new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        (folder / f"{LOCK}.new").rename(folder / LOCK)
        yield folder
    finally:
        # One that was opening the ledger when a signal came would make the folder anew.
        until = time.monotonic() + THREAD_S
        for thread in threading.enumerate():
            if thread.name == LEDGER_THREAD:
                thread.join(max(0.0, until - time.monotonic()))
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_abandoned(kind: str) -> list[Path]:
    """Remove the folders of this user's processes of a kind that ended without doing so; return those that are gone."""
    try:
        folders = Path(tempfile.gettempdir()).glob(f"{_prefix(kind)}*")
    except FileNotFoundError:  # no directory for temporary files: nothing was left there
        return []
    gone = []
    for folder in folders:
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(descriptor)
        if not folder.exists():
            gone.append(folder)
    return gone


def _prefix(kind: str) -> str:
    return f"reaper-{kind}-"
