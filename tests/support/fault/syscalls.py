"""Reads what strace wrote of a run: the system calls in the order in which they took effect, with their data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "openat,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync,ftruncate,unlink,rename"
OPTIONS = ("-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}")
SYNCS = ("fsync", "fdatasync")

_LINE = re.compile(r"(\d+) +(\w+)\((.*?)(?:\) += .*| <unfinished \.\.\.>)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>.*")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. `path` is the file's that was open, or the first that was named."""

    name: str
    path: str
    data: bytes
    numbers: tuple[int, ...]
    creates: bool


def calls(trace: Path) -> Iterator[Call]:
    """Read a trace. What writes takes effect when it begins, what syncs when it has ended."""
    under_way: dict[str, Call] = {}
    for line in trace.read_text().splitlines():
        if resumed := _RESUMED.fullmatch(line):
            call = under_way.pop(resumed[1], None)
            if call is not None:
                yield call
        elif found := _LINE.fullmatch(line):
            call = _call(found[2], found[3])
            if line.endswith("<unfinished ...>") and call.name in SYNCS:
                under_way[found[1]] = call
            else:
                yield call


def _call(name: str, arguments: str) -> Call:
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]
    file = _FILE.match(arguments)
    if name in ("openat", "unlink", "rename"):
        path = texts[0].decode()
    else:
        path = re.sub(r"\\x(..)", lambda match: chr(int(match[1], 16)), file[1]) if file else ""
    rest = _TEXT.sub("", arguments).split(",")
    numbers = tuple(int(part) for part in rest if part.strip().isdigit())
    return Call(name, path, b"".join(texts), numbers, "O_CREAT" in arguments)
