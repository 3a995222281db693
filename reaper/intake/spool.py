"""A spool directory in the style of maildir: producers write `tmp/x` and rename it to `new/x` when it is complete."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from anyio import to_thread

from reaper.core.errors import QueueError, UsageError
from reaper.core.files import kind_of
from reaper.core.text import describe_unforeseen, shown_path
from reaper.intake.events import NOTHING, IntakeReport, add_up
from reaper.intake.spool_file import SpoolFile
from reaper.intake.spool_rooms import Rooms
from reaper.intake.tail import OUT_OF_RESOURCES
from reaper.queues.base import IntakePort
from reaper.queues.values import Added

QUIET_S = 2.0
"""A file that has not changed for so long is complete: its last line counts without newline, and it is moved."""
RETRY_S = 60.0
"""A file that could not be moved is tried again so often, without being read again."""
WATCH_S = 600.0
"""A file is watched for so long after its move: a producer that still has it open may write more."""
MAX_WATCHED = 1000
MAX_NAMED = 20
"""Notes of one kind about single files that are logged, from the start of the process."""


@dataclass(slots=True)
class _Known:
    """A file of `new/`, or one that was moved lately, as the last poll left it."""

    key: tuple[str, int, int]
    """Name in `new/`, device and inode."""
    room: str
    name: str
    stamp: tuple[int, int]
    """Size and time of the last change."""
    since: float
    """When this stamp was seen first."""
    file: SpoolFile
    is_read: bool = False
    """All that there is to read for this stamp has been read."""
    into: str | None = None
    """Where it belongs, once it is complete or was refused; None before."""
    why: str = ""
    """The reason why it was refused."""
    try_at: float = 0.0
    """Not touched before; set when it could not be read or moved."""
    grew: bool = False
    is_named: set[str] = field(default_factory=set)
    """The kinds of notes that named it."""


class Spool:
    """Adds the IDs of each file of `new/` and moves it to `done/`. A file that can't be read goes to `bad/`.

    A file is read at once as far as its last newline. It is moved, and a last line without newline is taken, when it
    has not changed for `QUIET_S`: not every producer renames. No file stops another one: one that cannot be moved is
    remembered and passed over. After a crash between commit and move, the file is read again; the queue recognizes the
    duplicates. `now` is a monotonic clock.
    """

    def __init__(
        self,
        queue: IntakePort,
        directory: str | Path,
        default_after_s: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = os.fspath(directory)
        self._rooms = Rooms(self._directory)
        self.name = self._rooms.path()
        self._queue = queue
        self._default_after_s = default_after_s
        self._now = now
        self._known: dict[tuple[str, int, int], _Known] = {}
        """The files of `new/` by name, device and inode."""
        self._moved: deque[tuple[float, _Known]] = deque(maxlen=MAX_WATCHED)
        """The files that were moved lately, and until when each is watched."""
        self._strays: set[str] = set()
        self._refused: dict[str, str] = {}
        self._split: str | None = None
        self._noted: dict[str, int] = {}
        self.is_missing = False

    def prepare(self) -> None:
        """Create missing directories, private to this user. Raises ConfigError when one can't be used."""
        self._rooms.prepare()

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add the new lines of all files of `new/`, in the order of names; None when there are none.

        Raises OSError or UsageError when the spool itself can't be used, QueueError as the queue does; a file that was
        not completely read then stays in `new/`.
        """
        await to_thread.run_sync(self._rooms.refresh)
        self._report_refused(report)
        for note in await to_thread.run_sync(self._list_strays):
            report.noted(self.name, note)
        total: Added | None = None
        for known in [*await to_thread.run_sync(self._list_new), *await to_thread.run_sync(self._list_grown)]:
            try:
                added = await self._take_in(known, report)
            except QueueError:
                raise
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    raise
                self._pass_over(known, f"cannot be read to its end: {error.strerror}", report)
            except Exception as error:  # noqa: BLE001 - no single file may end the intake
                self._pass_over(known, f"was not taken in: {describe_unforeseen(error)}", report)
            else:
                if added is not None and added != NOTHING:
                    total = add_up(total or NOTHING, added)
        return total

    def close(self) -> None:
        """Close the directories."""
        self._rooms.close()

    @property
    def is_settling(self) -> bool:
        """Return True while a file of `new/` has a last line that is taken when the file stops changing."""
        files = [*self._known.values(), *(known for _, known in self._moved)]
        return any(known.into is None and not known.file.is_complete(known.stamp[0]) for known in files)

    def unfinished(self) -> int:
        """Return the number of files in `tmp/`, which their producers have not renamed. Blocks."""
        return max(0, self._rooms.count("tmp"))

    def prune(self, older_than_s: float) -> int:
        """Delete files that were moved to `done/` longer ago than this; return their number. Blocks."""
        return self._rooms.prune("done", time.time() - older_than_s)

    def count_files(self) -> dict[str, int]:
        """Return the number of files in each directory; -1 for one that cannot be used. Blocks."""
        return {name: self._rooms.count(name) for name in ("tmp", "new", "bad")}

    # --- one file -------------------------------------------------------------------------------------------------

    async def _take_in(self, known: _Known, report: IntakeReport) -> Added | None:
        """Read what is new of one file, and move it when it is complete; return the totals of its lines."""
        size, is_quiet = known.stamp[0], self._now() - known.since >= QUIET_S
        added: Added | None = None
        if known.into is None:
            if known.grew and known.file.position is not None:
                how = "its producer does not write to tmp/ and rename; each line is taken when its newline comes"
                self._note(known, "grew", f"grew after it had been read: {how}", report)
            directory = self._rooms.fd(known.room)
            try:
                if not known.is_read or (is_quiet and not known.file.is_complete(size)):
                    complete_at = size if is_quiet else None
                    added = await known.file.read(directory, known.name, report, complete_at=complete_at)
                    known.is_read = True
            except UsageError as error:
                if not is_quiet and known.file.is_regular:
                    return None  # not complete: its producer may change its rights at the end, as cp -p does
                known.into, known.why = "bad", str(error)
            else:
                if is_quiet and known.file.is_complete(size):
                    known.into = "done"
        if known.into not in (None, known.room):
            await self._move(known, known.into, report)
        return added

    async def _move(self, known: _Known, into: str, report: IntakeReport) -> None:
        why = f"{known.why}; it" if known.why else known.file.source
        try:
            free = await to_thread.run_sync(self._rooms.move, known.name, known.room, into)
        except FileNotFoundError:
            return  # the file is gone, or the directory is: the next poll finds out
        except (OSError, UsageError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._note(known, "unmovable", f"cannot be moved to {into}/ and is passed over: {reason}", report, why)
            known.try_at = self._now() + RETRY_S
            return
        if into == "bad":
            self._note(known, "refused", f"was moved to {self._rooms.path(into, free)}", report, why)
        elif known.room == "bad":
            self._note(known, "completed", "was completed after all, taken in and moved to done/", report)
        is_watched = known.room != "new"
        self._known.pop(known.key, None)
        known.room, known.name = into, free
        if not is_watched and known.file.is_regular:
            self._moved.append((self._now() + WATCH_S, known))

    def _pass_over(self, known: _Known, fault: str, report: IntakeReport) -> None:
        """Leave a file where it is; it is tried again later."""
        known.try_at = self._now() + RETRY_S
        if "fault" not in known.is_named:
            known.is_named.add("fault")
            report.failed(known.file.source, f"{known.file.source} {fault}; it is passed over, and tried again later")

    # --- what there is ----------------------------------------------------------------------------------------------

    def _list_new(self) -> list[_Known]:
        """Return the files of `new/` that need something now, by name. Blocks."""
        now, found = self._now(), {}
        with os.scandir(self._rooms.fd("new")) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    key = (entry.name, status.st_dev, status.st_ino)
                    found[key] = self._seen(key, self._known.get(key), status, now)
        self._known = dict(sorted(found.items()))
        return [
            known
            for known in self._known.values()
            if known.try_at <= now and (not known.is_read or known.into or now - known.since >= QUIET_S)
        ]

    def _list_grown(self) -> list[_Known]:
        """Return the files of `done/` and `bad/` that changed after they were moved. Blocks."""
        now, changed = self._now(), []
        while self._moved and self._moved[0][0] <= now:
            self._moved.popleft()
        with self._rooms.borrow("done") as done, self._rooms.borrow("bad") as bad:
            for _, known in self._moved:
                with suppress(OSError):
                    fd = done if known.room == "done" else bad
                    if fd is None:
                        continue
                    status = os.stat(known.name, dir_fd=fd, follow_symlinks=False)
                    self._seen(known.key, known, status, now)
                    is_due = not known.is_read or now - known.since >= QUIET_S
                    if known.into is None and known.try_at <= now and is_due:
                        changed.append(known)
        return changed

    def _seen(self, key: tuple[str, int, int], known: _Known | None, status: os.stat_result, now: float) -> _Known:
        stamp = (status.st_size, status.st_mtime_ns)
        if known is None:
            name = key[0]
            file = SpoolFile(self._queue, self._rooms.path("new", name), self._default_after_s)
            known = _Known(key, "new", name, stamp, now, file)
            if not stat.S_ISREG(status.st_mode):
                file.refuse(f"it is a {kind_of(status.st_mode)}, not a regular file")
        elif known.stamp != stamp:
            known.grew = known.stamp[0] < stamp[0]
            known.stamp, known.since = stamp, now
            known.is_read, known.into, known.why, known.try_at = False, None, "", 0.0
        return known

    def _list_strays(self) -> list[str]:
        """Return a note about each new file that lies directly in the spool. Blocks."""
        with os.scandir(self._directory) as entries:
            found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        new, self._strays = sorted(found - self._strays), found
        what = "lies directly in the spool and is not read: move it to new/"
        notes = [f"{shown_path(name)} {what}" for name in new[:MAX_NAMED]]
        return notes + [f"{len(new) - MAX_NAMED} more lie there"] * (len(new) > MAX_NAMED)

    # --- notes ------------------------------------------------------------------------------------------------------

    def _note(self, known: _Known, kind: str, what: str, report: IntakeReport, subject: str | None = None) -> None:
        """Report something about a file, once for each kind; of each kind a limited number, whatever producers do."""
        if kind in known.is_named:
            return
        known.is_named.add(kind)
        self._noted[kind] = number = self._noted.get(kind, 0) + 1
        if number <= MAX_NAMED:
            more = "; further files of which this is true are not named" if number == MAX_NAMED else ""
            report.noted(self.name, f"{subject or known.file.source} {what}{more}")

    def _report_refused(self, report: IntakeReport) -> None:
        """Report directories that cannot be used, once per change. Without `new/` the poll itself fails."""
        refused = {name: why for name, why in self._rooms.refused.items() if name != "new"}
        for why in [why for name, why in refused.items() if self._refused.get(name) != why]:
            report.failed(self.name, why)
        if (split := self._rooms.split()) and split != self._split:
            report.noted(self.name, split)
        self._split = split
        if self._refused and not refused:
            report.recovered(self.name)
        self._refused = refused
