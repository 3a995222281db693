"""The entries of `intake.files`: paths, also below `~`, and patterns; each is looked up anew at every poll."""

from __future__ import annotations

import glob
import os
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from anyio import to_thread

from reaper.core.files import kind_of
from reaper.core.text import shown_path
from reaper.intake.events import IntakeReport, add_up
from reaper.intake.follower import Follower
from reaper.intake.generations import is_compressed
from reaper.intake.poller import Attempts
from reaper.queues.base import IntakePort
from reaper.queues.values import Added

KEPT_POLLS = 600
"""A file that a pattern matched and that is gone is still followed for so many polls."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The files that an entry names now."""

    paths: list[str]
    compressed: list[str]
    """Matches of a pattern that are passed over: their bytes are no lines."""
    is_pattern: bool


def find_matches(entry: str) -> Matches:
    """Return the files that an entry names now; a plain path is returned whether or not it exists. Blocks."""
    path = os.path.expanduser(entry)
    if not glob.has_magic(path) or os.path.lexists(path):
        return Matches([path], [], False)
    found = sorted(glob.glob(path))
    compressed = [one for one in found if is_compressed(one)]
    return Matches([one for one in found if one not in set(compressed)], compressed, True)


def describe_entry(entry: str) -> tuple[bool, str]:
    """Return whether all that an entry names can be followed now, and a sentence about it. Blocks."""
    matches, shown = find_matches(entry), shown_path(entry)
    faults = [(path, fault) for path in matches.paths if (fault := _fault_of(path)) is not None]
    if matches.is_pattern:
        count = len(matches.paths)
        sentence = f"{shown} matches {count or 'no'} file{'' if count == 1 else 's'} now"
        if matches.compressed:
            sentence += f", and {len(matches.compressed)} compressed, passed over"
        if faults:
            path, fault = faults[0]
            sentence += f"; {len(faults)} of them cannot be followed, as {shown_path(path)}, which {fault}"
        return bool(count) and not faults, sentence
    path = matches.paths[0]
    named = shown if path == entry else f"{shown} ({shown_path(path)})"
    return not faults, f"{named} {faults[0][1] if faults else 'is there'}"


def _fault_of(path: str) -> str | None:
    """Return why a file cannot be followed now, as the end of a sentence."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "does not exist; it is read when it appears"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(mode):
        return f"is a {kind_of(mode)}; only regular files can be followed"
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        return "cannot be read: Permission denied"
    return None


class FollowedPaths:
    """Follows the files that one entry names. One that can't be followed does not stop the others.

    `followed` collects the absolute paths of all entries: a file that is followed for itself is no generation of
    another.
    """

    def __init__(self, queue: IntakePort, entry: str, default_after_s: float, followed: set[str]) -> None:
        self.name = shown_path(entry)
        self.is_missing = False
        """True when the entry named no file at the last poll."""
        self.is_settling = False
        self._queue = queue
        self._entry = entry
        self._default_after_s = default_after_s
        self._followed = followed
        self._attempts = Attempts()
        self._followers: dict[str, Follower] = {}
        self._unmatched: dict[str, int] = {}
        self._passed_over: set[str] = set()

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add the new lines of all files. Raises QueueError as the queue does; other faults are reported here."""
        matches = await to_thread.run_sync(find_matches, self._entry)
        self._followed.update(map(os.path.abspath, matches.paths))
        for path in matches.paths:
            if path not in self._followers:
                self._followers[path] = Follower(self._queue, path, self._default_after_s, self._followed)
        for path in [one for one in matches.compressed if one not in self._passed_over]:
            self._passed_over.add(path)
            shown = shown_path(path)
            todo = f"`zcat {shlex.quote(shown)} | reaper add --from -`"
            report.noted(self.name, f"{shown} is compressed and passed over: {todo}")
        total: Added | None = None
        for follower in list(self._followers.values()):
            added = await self._attempts.poll(follower, report)
            if added is not None:
                total = add_up(total, added) if total is not None else added
        self._forget(matches.paths)
        is_missing = not matches.paths or all(one.is_missing for one in self._followers.values())
        if is_missing and not self.is_missing:
            _, sentence = await to_thread.run_sync(describe_entry, self._entry)
            report.noted(self.name, sentence)
        self.is_missing = is_missing
        return total

    def count_files(self) -> None:
        """Return None: it has no directories of its own."""

    def close(self) -> None:
        """Close the files."""
        for follower in self._followers.values():
            follower.close()

    def _forget(self, matched: Iterable[str]) -> None:
        """Stop following files that have not matched for long."""
        present = set(matched)
        for path in [one for one in self._followers if one not in present]:
            self._unmatched[path] = self._unmatched.get(path, 0) + 1
            if self._unmatched[path] > KEPT_POLLS:
                self._followers.pop(path).close()
                self._followed.discard(os.path.abspath(path))
                del self._unmatched[path]
        for path in present & self._unmatched.keys():
            del self._unmatched[path]
