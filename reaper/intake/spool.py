"""A spool directory, maildir style: producers write `tmp/x` and rename it to `new/x`; what is there is whole."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from reaper.core.errors import ConfigError, UsageError
from reaper.intake.events import NOTHING, Report, add_up
from reaper.intake.line_reader import Parsed, Reader
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Batch

ROOMS = ("tmp", "new", "done", "bad")

_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Why an open can fail that has nothing to do with the file: it is tried again."""


class Spool:
    """Takes in each file of `new/`, then moves it to `done/`; what can't be read goes to `bad/`.

    A crash between the commit and the move makes the file be read again, and the queue knows the duplicates.
    """

    def __init__(self, queue: IntakePort, directory: str | Path, default_after_s: float = 0.0) -> None:
        self.name = str(directory)
        self._directory = Path(directory)
        self._queue = queue
        self._default_after_s = default_after_s
        self._told: set[str] = set()

    def prepare(self) -> None:
        """Make the directories that are missing, private to this user. Raises ConfigError when one can't be used."""
        above = [parent for parent in reversed(self._directory.parents) if not parent.exists()]
        for directory in (*above, self._directory, *(self._directory / room for room in ROOMS)):
            try:
                directory.mkdir(mode=0o700, exist_ok=True)  # one by one: `parents` would make the others for all
            except OSError as error:
                raise ConfigError(f"intake.spool_dir: {directory} cannot be made: {error.strerror}") from error
            if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
                raise ConfigError(f"intake.spool_dir: this user may not read and write {directory}")

    async def poll(self, report: Report) -> Added | None:
        """Take in what is in `new/`, in the order of names; None when nothing is.

        Raises OSError when the spool itself can't be used, QueueError as the queue does; a file that was not wholly
        taken in then stays in `new/`.
        """
        for stray in await to_thread.run_sync(self._strays):
            report.noted(self.name, f"{stray} lies beside the rooms of the spool and is not read: move it to new/")
        total: Added | None = None
        for name in await to_thread.run_sync(self._names):
            path = self._directory / "new" / name
            try:
                added = await self._take_in(path, report)
            except UsageError as unfit:
                kept = await to_thread.run_sync(self._move, path, "bad")
                report.noted(self.name, f"{unfit}; it was moved to {kept}")
                continue
            if added is None:
                continue
            await to_thread.run_sync(self._move, path, "done")
            total = add_up(total or NOTHING, added)
        return total

    def close(self) -> None:
        """Nothing is held between polls."""

    def unfinished(self) -> int:
        """Return how many files in `tmp/` their producers never handed over. Blocks."""
        with suppress(OSError):
            return len(os.listdir(self._directory / "tmp"))
        return 0

    def _strays(self) -> list[str]:
        """Return the files that producers left in the spool itself, each once. Blocks."""
        with os.scandir(self._directory) as entries:
            found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        new, self._told = found - self._told, found
        return sorted(new)

    def prune(self, older_than_s: float) -> int:
        """Delete what was moved to `done/` longer ago than this; return how many files. Blocks."""
        before = time.time() - older_than_s
        pruned = 0
        with suppress(OSError), os.scandir(self._directory / "done") as entries:
            for entry in entries:
                # What cannot be deleted stays: it costs a little space, and must not cost the work.
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    # A rename sets the change time: that is when the file was done with.
                    if stat.S_ISREG(status.st_mode) and status.st_ctime < before:
                        os.unlink(entry.path)
                        pruned += 1
        return pruned

    async def _take_in(self, path: Path, report: Report) -> Added | None:
        """Take in one file and return the totals, None when it is gone. Raises UsageError when it can't be read."""
        fd = await to_thread.run_sync(_open, path)
        if fd is None:
            return None
        source, total = str(path), NOTHING
        try:
            reader = Reader(fd, source)
            while (parsed := await _next(reader, source)) is not None:
                batch = Batch(source, parsed.items, parsed.invalid)
                total = add_up(total, await self._queue.add(batch, default_after_s=self._default_after_s))
                if parsed.invalid:
                    report.invalid(source, parsed.invalid)
        finally:
            os.close(fd)
            if total != NOTHING:
                report.imported("spool", source, total)
        return total

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._directory / "new") if not name.startswith("."))

    def _move(self, path: Path, room: str) -> Path:
        """Rename into `room`, under a name that is free there; return the new path."""
        target = self._directory / room / path.name
        suffix = 0
        # Only this process moves files there, so nobody takes the name in between.
        while os.path.lexists(target):
            suffix += 1
            target = self._directory / room / f"{path.name}.{suffix}"
        os.rename(path, target)
        return target


async def _next(reader: Reader, source: str) -> Parsed | None:
    try:
        return await reader.next()
    except OSError as error:
        raise UsageError(f"{source} could not be read to its end: {error.strerror}") from error


def _open(path: Path) -> int | None:
    """Open a file of `new/`; None when it is gone. Raises UsageError when it never can be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"{path} is a symbolic link") from error
        if error.errno in _OURS:
            raise
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UsageError(f"{path} is not a regular file")
    return fd
