"""Names of processes in leases and heartbeats: `9f1c2b7d5e3a4c60@web-1:4711`, a random part, then host and PID.

So each lease names the place of its process, on every engine and without a column. A name has no dot, because receipts
are split at dots, and is a file name: a host's dots become `+`, which no host name has. Names of older versions have
the random part alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HOST = 64
"""Characters of a host name that are kept (HOST_NAME_MAX of Linux)."""
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
_PLACE = re.compile(r"[^@]*@([A-Za-z0-9_+-]{1,64}):([0-9]{1,10})\Z")


class Place(NamedTuple):
    """The host and the PID of a process."""

    host: str
    pid: int

    def __str__(self) -> str:
        return f"{self.pid} on {self.host}" if self.host else str(self.pid)


def owner_name(random: str, host: str, pid: int) -> str:
    """Return the name of a process; `random` makes it unique. A host without any fit character is left out."""
    fit = _UNFIT.sub("-", host[:MAX_HOST]).replace(".", "+")
    return f"{random}@{fit}:{pid}" if fit else random


def random_part(owner: str) -> str:
    """Return the part of a name that is its process's alone: receipts, which rows keep, hold no more."""
    return owner.partition("@")[0]


def place_of(owner: str) -> Place | None:
    """Return where a process runs by its name; None for a name that does not say it."""
    found = _PLACE.match(owner)
    return None if found is None else Place(found[1].replace("+", "."), int(found[2]))
