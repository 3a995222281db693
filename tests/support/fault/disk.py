"""A disk that forgets at a power cut what was not synced: written sectors and directory entries, each by chance.

It is fed the system calls of a traced run. What was synced is there after every cut. Of the rest, by the cut's own
lot: nothing is, what was written first is, or each sector of 512 bytes by chance; directory entries up to some point.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SECTOR = 512


@dataclass(slots=True)
class Inode:
    """One file: what is sure, and what was done to it since."""

    sure: bytearray = field(default_factory=bytearray)
    unsure: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, bytes), or (length, None): cut to that length."""

    def sync(self) -> None:
        for at, data in self.unsure:
            change(self.sure, at, data)
        self.unsure.clear()

    def after_cut(self, chance: random.Random) -> bytes:
        kept = bytearray(self.sure)
        lot = chance.choice(("none", "first", "any"))
        first = chance.randint(0, len(self.unsure))
        for number, (at, data) in enumerate(self.unsure):
            if lot == "none" or (lot == "first" and number >= first):
                continue
            if lot == "first" or data is None:
                if data is not None or chance.random() < 0.5:
                    change(kept, at, data)
                continue
            begin = 0
            while begin < len(data):
                end = min(len(data), begin + SECTOR - (at + begin) % SECTOR)
                if chance.random() < 0.5:
                    change(kept, at + begin, data[begin:end])
                begin = end
        return bytes(kept)


def change(content: bytearray, at: int, data: bytes | None) -> None:
    """Write, or cut to the length `at`; a gap is filled with zeros."""
    if data is None:
        del content[at:]
        content.extend(bytes(at - len(content)))
    else:
        content.extend(bytes(max(0, at - len(content))))
        content[at : at + len(data)] = data


@dataclass(slots=True)
class Disk:
    """All files of one directory, by name."""

    sure: dict[str, Inode] = field(default_factory=dict)
    entries: dict[str, Inode] = field(default_factory=dict)
    """As processes see them."""
    unsure: list[tuple[str, Inode | None]] = field(default_factory=list)
    """Entries made, or removed (None), since the directory was synced."""

    def create(self, name: str) -> None:
        if name not in self.entries:
            self.entries[name] = Inode()
            self.unsure.append((name, self.entries[name]))

    def remove(self, name: str) -> None:
        if self.entries.pop(name, None) is not None:
            self.unsure.append((name, None))

    def write(self, name: str, at: int, data: bytes | None) -> None:
        self.create(name)
        self.entries[name].unsure.append((at, data))

    def sync(self, name: str) -> None:
        self.entries[name].sync()

    def sync_directory(self) -> None:
        self.sure = dict(self.entries)
        self.unsure.clear()

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return what is found when the power is back."""
        kept = dict(self.sure)
        for name, inode in self.unsure[: chance.randint(0, len(self.unsure))]:
            if inode is None:
                kept.pop(name, None)
            else:
                kept[name] = inode
        return {name: inode.after_cut(chance) for name, inode in kept.items()}
