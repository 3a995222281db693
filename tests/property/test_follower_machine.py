"""A followed file under every order of writes, rotations, rewrites, polls and restarts, against a list of its lines."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
from pathlib import Path

import anyio
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from reaper.intake.follower import Follower
from tests.support.intake import RecordingQueue, RecordingReport

WHOLE = re.compile(r"id-\d+-end")


class FollowedFile(RuleBasedStateMachine):
    """The writer ends each ID with `-end`: a piece of one is never a whole one."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "ids.log"
        self.queue, self.report = RecordingQueue(), RecordingReport()
        self.follower = Follower(self.queue, str(self.path))
        self.number = 0
        self.lines: set[str] = set()
        """The IDs whose newline was written."""
        self.begun: dict[int, str] = {}
        """By inode, the last line of a file that has no newline yet."""
        self.may_lose = False
        self.copies: set[int] = set()
        """The inodes of copies: no writer has them open."""

    def teardown(self) -> None:
        try:
            self.write(1, rest=False)
            self.poll()
            self.poll()
            missing = self.lines - set(self.queue.ids)
            told = any("not seen" in note for note in self.report.notes)
            assert not missing or (self.may_lose and told), (missing, self.report.notes)
        finally:
            self.follower.close()
            shutil.rmtree(self.directory)
        assert [one for one in self.queue.ids if not WHOLE.fullmatch(one)] == [], "a piece of an ID"

    # --- the writer -------------------------------------------------------------------------------------------------

    def _append(self, path: Path, count: int, rest: bool) -> None:
        with path.open("a") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode in self.begun:
                file.write("-end\n")
                self.lines.add(self.begun.pop(inode) + "-end")
            for _ in range(count):
                self.number += 1
                file.write(f"id-{self.number}-end\n")
                self.lines.add(f"id-{self.number}-end")
            if rest:
                self.number += 1
                file.write(f"id-{self.number}")
                self.begun[inode] = f"id-{self.number}"

    @initialize()
    def begin(self) -> None:
        self.write(2, rest=False)
        self.poll()

    def write(self, count: int, rest: bool) -> None:
        self._append(self.path, count, rest)

    @rule()
    def write_lines(self) -> None:
        self.write(2, rest=False)

    @rule()
    def write_much(self) -> None:
        self.write(400, rest=False)

    @rule()
    def write_a_piece(self) -> None:
        self.write(1, rest=True)

    @precondition(lambda self: self._generation(1).exists())
    @rule()
    def write_late(self) -> None:
        """A writer that still has the rotated file open."""
        if self._generation(1).stat().st_ino not in self.copies:
            self._append(self._generation(1), 1, rest=False)

    def _generation(self, number: int) -> Path:
        return self.directory / f"ids.log.{number}"

    # --- who rotates ------------------------------------------------------------------------------------------------

    def _shift(self) -> None:
        for number in range(30, 0, -1):
            for suffix in ("", ".gz"):
                if (old := Path(f"{self._generation(number)}{suffix}")).exists():
                    old.rename(f"{self._generation(number + 1)}{suffix}")

    @precondition(lambda self: self.path.exists())
    @rule()
    def rotate(self) -> None:
        self._shift()
        self.path.rename(self._generation(1))

    @precondition(lambda self: self.path.exists())
    @rule()
    def rotate_and_write(self) -> None:
        self.rotate()
        self.write(1, rest=False)

    @precondition(lambda self: self.path.exists())
    @rule()
    def copy_and_truncate(self) -> None:
        self.may_lose = True
        self._shift()
        shutil.copy(self.path, self._generation(1))
        self.copies.add(self._generation(1).stat().st_ino)
        self._forget(self.path)
        os.truncate(self.path, 0)

    @precondition(lambda self: self.path.exists())
    @rule()
    def write_anew(self) -> None:
        """In place, with a line more at the start."""
        self.may_lose = True
        self.number += 1
        first = f"id-{self.number}-end"
        held = self.path.read_text().splitlines(keepends=True)
        self.path.write_text("".join([f"{first}\n", *held]))
        self.lines.add(first)

    @precondition(lambda self: self._generation(1).exists())
    @rule()
    def compress(self) -> None:
        self.may_lose = True
        one, status = self._generation(1), self._generation(1).stat()
        self._forget(one)
        (packed := Path(f"{one}.gz")).write_bytes(gzip.compress(one.read_bytes()))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        one.unlink()

    @precondition(lambda self: self._generation(2).exists())
    @rule()
    def delete(self) -> None:
        self.may_lose = True
        self._forget(self._generation(2))
        self._generation(2).unlink()

    def _forget(self, path: Path) -> None:
        self.begun.pop(path.stat().st_ino, None)

    # --- reaper -----------------------------------------------------------------------------------------------------

    @rule()
    def poll(self) -> None:
        anyio.run(self.follower.poll, self.report)

    @rule()
    def restart(self) -> None:
        self.follower.close()
        self.follower = Follower(self.queue, str(self.path))


FollowedFile.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFollowedFile = FollowedFile.TestCase
