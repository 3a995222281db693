"""The files under reaper, on a real disk: the one that it follows, its spool, the token, the protected IDs."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.simulation.history import History
from tests.support.simulation.virtual_time import CLOCK


class Disk:
    """Files and what their producers do to them. Times of change are virtual."""

    def __init__(self, folder: Path, history: History) -> None:
        self._history = history
        self.followed = folder / "ids.txt"
        self.spool = folder / "spool"
        self.token = folder / "token"
        self.protected = folder / "protected.txt"
        self.ledger = folder / "reaper.db"
        self._written: list[str] = []
        """The IDs of the present file."""
        self._rest = ""
        """The rest of a line that was written in part."""
        self._in_pieces = False
        self.spool.mkdir(mode=0o700)
        for room in ("tmp", "new", "done", "bad"):
            (self.spool / room).mkdir(mode=0o700)
        self.followed.touch()
        self._stamp(self.followed)

    def append(self, session_id: str, line: str) -> None:
        """Write one line at the end of the followed file."""
        self.finish_line()
        if self._in_pieces:
            self._in_pieces = False
            self._write(line[: len(line) // 2])
            self._rest = line[len(line) // 2 :] + "\n"
        else:
            self._write(line + "\n")
        self._written.append(session_id)
        self._history.add(session_id, "a line in the file", "lines in files")

    def finish_line(self) -> None:
        """Write the rest of a line that was written in part."""
        if self._rest:
            self._write(self._rest)
            self._rest = ""

    def drop(self, session_id: str, line: str) -> None:
        """Put one file into the spool as its rules ask."""
        made = self.spool / "tmp" / session_id
        made.write_text(line + "\n")
        self._stamp(made)
        made.rename(self.spool / "new" / session_id)
        self._history.add(session_id, "a file in the spool", "files in the spool")

    def write_token(self, token: str) -> None:
        new = self.token.with_suffix(".new")
        new.touch(0o600)
        new.write_text(token + "\n")
        self._stamp(new)
        new.rename(self.token)
        self._history.add("world", "another token in the file")

    def protect(self, session_ids: list[str]) -> None:
        new = self.protected.with_suffix(".new")
        new.write_text("".join(f"{one}\n" for one in session_ids) or "# nothing\n")
        self._stamp(new)
        new.rename(self.protected)

    def trouble(self, kind: str, known: set[str]) -> set[str]:
        """Do to the followed file what other programs do; return the IDs that may be lost by it."""
        self._history.add("world", kind, kind)
        lost: set[str] = set()
        self.finish_line()
        match kind:
            case "file_rotated" | "file_rotated_twice":
                self._rotate()
            case "file_rewritten" | "file_truncated":
                # What reaper had not read is gone for good: it may say so, and nobody can do better.
                lost = {one for one in self._written if one not in known}
                self.followed.write_text("")
                self._stamp(self.followed)
                self._written = []
            case "line_in_pieces":
                self._in_pieces = True
            case _:
                raise ValueError(kind)
        return lost

    def _rotate(self) -> None:
        for number in range(30, 0, -1):
            old = self.followed.with_name(f"ids.txt.{number}")
            if old.exists():
                old.rename(old.with_name(f"ids.txt.{number + 1}"))
        self.followed.rename(self.followed.with_name("ids.txt.1"))
        self.followed.touch()
        self._stamp(self.followed)
        self._written = []

    def _write(self, text: str) -> None:
        with self.followed.open("a") as file:
            file.write(text)
        self._stamp(self.followed)

    def _stamp(self, path: Path) -> None:
        at = int(CLOCK.true() * 1e9)
        os.utime(path, ns=(at, at))
