"""A spool directory in the style of maildir: producers write `tmp/x` and rename it to `new/x` when it is complete."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from reaper.core.errors import ConfigError, UsageError
from reaper.intake.events import NOTHING, IntakeReport, add_up
from reaper.intake.line_reader import Reader
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Batch

SUBDIRECTORIES = ("tmp", "new", "done", "bad")

_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of an open that are not the fault of the file: the next poll tries again."""


class Spool:
    """Adds the IDs of each file of `new/`, then moves it to `done/`. A file that can't be read goes to `bad/`.

    After a crash between commit and move, the file is read again; the queue recognizes the duplicates.
    """

    def __init__(self, queue: IntakePort, directory: str | Path, default_after_s: float = 0.0) -> None:
        self.name = str(directory)
        self._directory = Path(directory)
        self._queue = queue
        self._default_after_s = default_after_s
        self._reported: set[str] = set()

    def prepare(self) -> None:
        """Create missing directories, private to this user. Raises ConfigError when one can't be used."""
        above = [parent for parent in reversed(self._directory.parents) if not parent.exists()]
        for directory in (*above, self._directory, *(self._directory / name for name in SUBDIRECTORIES)):
            try:
                directory.mkdir(
                    mode=0o700, exist_ok=True
                )  # one by one: `parents=True` would ignore the mode for parents
            except OSError as error:
                raise ConfigError(f"intake.spool_dir: {directory} cannot be made: {error.strerror}") from error
            if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
                raise ConfigError(f"intake.spool_dir: this user may not read and write {directory}")

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add the IDs of all files of `new/`, in the order of names; None when there is no file.

        Raises OSError when the spool itself can't be used, QueueError as the queue does; a file that was not completely
        read then stays in `new/`.
        """
        for stray in await to_thread.run_sync(self._strays):
            report.noted(self.name, f"{stray} lies directly in the spool and is not read: move it to new/")
        total: Added | None = None
        for name in await to_thread.run_sync(self._names):
            path = self._directory / "new" / name
            try:
                added = await self._take_in(path, report)
            except UsageError as error:
                kept = await to_thread.run_sync(self._move, path, "bad")
                report.noted(self.name, f"{error}; it was moved to {kept}")
                continue
            if added is None:
                continue
            await to_thread.run_sync(self._move, path, "done")
            total = add_up(total or NOTHING, added)
        return total

    def close(self) -> None:
        """Do nothing: no file stays open between polls."""

    def unfinished(self) -> int:
        """Return the number of files in `tmp/`, which their producers have not renamed. Blocks."""
        with suppress(OSError):
            return len(os.listdir(self._directory / "tmp"))
        return 0

    def _strays(self) -> list[str]:
        """Return the new files that lie directly in the spool, each once. Blocks."""
        with os.scandir(self._directory) as entries:
            found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        new, self._reported = found - self._reported, found
        return sorted(new)

    def prune(self, older_than_s: float) -> int:
        """Delete files that were moved to `done/` longer ago than this; return their number. Blocks."""
        before = time.time() - older_than_s
        pruned = 0
        with suppress(OSError), os.scandir(self._directory / "done") as entries:
            for entry in entries:
                # A file that cannot be deleted costs little space, and must not stop the daemon.
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    # A rename sets the change time, so this is the time of the move.
                    if stat.S_ISREG(status.st_mode) and status.st_ctime < before:
                        os.unlink(entry.path)
                        pruned += 1
        return pruned

    async def _take_in(self, path: Path, report: IntakeReport) -> Added | None:
        """Add the IDs of one file; return the totals, None when it is gone. Raises UsageError when it can't be read."""
        fd = await to_thread.run_sync(_open, path)
        if fd is None:
            return None
        source, total = str(path), NOTHING
        try:
            reader = Reader(fd, source)
            while (parsed := await reader.next()) is not None:
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

    def _move(self, path: Path, subdirectory: str) -> Path:
        """Rename into `subdirectory` under a free name; return the new path."""
        target = self._directory / subdirectory / path.name
        suffix = 0
        # Only this process moves files there, so the name stays free until the rename.
        while os.path.lexists(target):
            suffix += 1
            target = self._directory / subdirectory / f"{path.name}.{suffix}"
        os.rename(path, target)
        return target


def _open(path: Path) -> int | None:
    """Open a file of `new/`; None when it is gone. Raises UsageError when no later poll could read it either."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"{path} is a symbolic link") from error
        if error.errno in _OUT_OF_RESOURCES:
            raise
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UsageError(f"{path} is not a regular file")
    return fd
