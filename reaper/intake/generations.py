"""Find the files that a followed path named before: rotated ones beside it, by the names that rotation gives them.

logrotate (`NAME.N`, `NAME-DATE`, with `extension` `STEM-DATE.EXT`), savelog, newsyslog and the rotating handlers of
logging libraries (`NAME.N`, `NAME.DATE`) all rename in the same directory, and write each date with its year first.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

COMPRESSED = (".gz", ".bz2", ".zst", ".xz", ".lz4", ".Z", ".zip")
MAX_NUMBER = 1000

_DATE = r"(19|20)\d\d-?(0[1-9]|1[0-2]).*|\d{10}.*"
"""A date that begins with year and month, or Unix seconds, and whatever follows."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A regular file beside a followed one, whose name begins as its name does."""

    path: str
    inode: int
    changed_at_ns: int
    is_generation: bool
    """Its name is one that rotation gives, and it is not compressed."""
    is_compressed: bool


def is_compressed(path: str) -> bool:
    """Return whether a file's name says that its content is compressed."""
    return path.endswith(COMPRESSED)


def find_neighbours(
    path: str, device: int, since_ns: int, followed: Collection[str], *, also_alike: bool = False
) -> list[Neighbour]:
    """Return the files beside `path` on the same device that changed at `since_ns` or later, oldest first.

    If it is a link: those beside the file that it leads to. The absolute paths in `followed` are left out: they are
    read for themselves. `also_alike`: those, too, that have a number or a date at another place of the name. Blocks.
    """
    directory, present, name = _rotated_name(path)
    stem, extension = os.path.splitext(name)
    alike = re.compile(rf"{re.escape(stem)}[\W_]*\d.*{re.escape(extension)}", re.DOTALL)
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                beside = os.path.join(directory, entry.name)
                if entry.name == present or not entry.name.startswith(stem):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # renamed or deleted just now
                if not stat.S_ISREG(status.st_mode) or status.st_dev != device or status.st_mtime_ns < since_ns:
                    continue
                compressed = is_compressed(entry.name)
                plain = entry.name
                for suffix in COMPRESSED:
                    plain = plain.removesuffix(suffix)
                generation = _pattern(name).fullmatch(plain) is not None
                if generation or entry.name.startswith(present) or (also_alike and alike.fullmatch(plain)):
                    is_generation = generation and not compressed
                    found.append(Neighbour(beside, status.st_ino, status.st_mtime_ns, is_generation, compressed))
    except OSError:
        return []
    if found and os.path.realpath(path) != os.path.abspath(path):
        followed = set(map(os.path.realpath, followed))
    found = [one for one in found if one.path not in followed]
    # Of two that changed in the same instant the one with the higher number is older.
    return sorted(found, key=lambda one: (one.changed_at_ns, -_number(one.path), one.path))


def find_renamed(path: str, device: int, inode: int) -> str | None:
    """Return the path of the regular file of this inode in the directory of `path`; None if it is not there. Blocks.

    If `path` is a link: in that of the file that it leads to.
    """
    directory, present, _ = _rotated_name(path)
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.inode() != inode or entry.name == present:
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_dev == device:
                    return os.path.join(directory, entry.name)
    except OSError:
        return None
    return None


def find_gaps(path: str, renamed: str) -> list[str]:
    """Return the numbered generations of `path` between it and `renamed`, one of them, that are gone. Blocks."""
    path = os.path.realpath(path)
    number = _number(renamed) if renamed == f"{path}.{_number(renamed)}" else 0
    between = (f"{path}.{one}" for one in range(1, min(number, MAX_NUMBER)))
    return [one for one in between if not any(os.path.lexists(one + suffix) for suffix in ("", *COMPRESSED))]


def is_generation(path: str, renamed: str) -> bool:
    """Return whether `renamed` is a name that rotation gives to `path`."""
    return _pattern(_rotated_name(path)[2]).fullmatch(os.path.basename(renamed)) is not None


def _rotated_name(path: str) -> tuple[str, str, str]:
    """Return the directory of a file, its name there, and the name from which those of its generations are made.

    A link is followed. Its file may itself have a date in its name, and the link be changed at each rotation: then the
    names are made from what stands before the date.
    """
    directory, present = os.path.split(os.path.realpath(path))
    dated = re.match(rf"(.+?)[-.]({_DATE})", present, re.DOTALL) if os.path.islink(path) else None
    return directory, present, dated[1] if dated else present


@lru_cache(maxsize=64)
def _pattern(name: str) -> re.Pattern[str]:
    """Return the pattern of the names that rotation gives to a file of this name."""
    forms = [rf"{re.escape(name)}(\.\d+|[-.]({_DATE}))"]
    stem, extension = os.path.splitext(name)
    if stem and extension:
        forms.append(rf"{re.escape(stem)}-({_DATE}){re.escape(extension)}")
    return re.compile("|".join(forms), re.DOTALL)


def _number(path: str) -> int:
    number = path.rpartition(".")[2]
    return int(number) if number.isdecimal() and len(number) < 9 else 0
