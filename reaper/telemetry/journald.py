"""Log lines for systemd's journal, where stderr is connected to it.

A line goes to the journal's own socket with its fields, so that `journalctl SESSION_ID=…` finds it (native protocol:
https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). What the socket does not take at once goes to stderr without them, with
`<N>` before each line as the priority (sd-daemon(3)).
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self, TextIO

from reaper.telemetry.json_lines import encode
from reaper.telemetry.redaction import holds_secret, masked, masked_value

if TYPE_CHECKING:  # the commands that start at once load no structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

SOCKET: Final = "/run/systemd/journal/socket"
IDENTIFIER: Final = "reaper"
SEND_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""What is asked for, as by sd_journal_send(3); the kernel gives less. It bounds one line, and those not read yet."""
MAX_NAME: Final = 64
"""The longest name of a field that journald takes."""
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_IN_THE_JOURNAL_ANYWAY = ("event", "level", "timestamp")


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is the one that systemd named in `$JOURNAL_STREAM` (systemd.exec(5))."""
    if "JOURNAL_STREAM" not in environ:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ["JOURNAL_STREAM"] == f"{status.st_dev}:{status.st_ino}"


def with_priority(text: str, level: int) -> str:
    """Return the text with the priority of a `logging` level before each line, and a newline at the end."""
    prefix = f"<{_priority(level)}>"
    return "".join(f"{prefix}{line}\n" for line in text.split("\n"))


class JournalLine(str):
    """A rendered line and the fields of its event, without secrets, under their names in the journal."""

    fields: Mapping[str, str]

    @classmethod
    def of(cls, line: str, fields: Mapping[str, str]) -> Self:
        made = cls(line)
        made.fields = fields
        return made


@dataclass(frozen=True, slots=True)
class JournalRenderer:
    """A structlog processor: keeps the fields of an event beside the line that `render` makes of it."""

    render: Processor
    secrets: Callable[[], tuple[str, ...]]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> JournalLine:
        line = str(self.render(logger, method, event))
        # A line for a person does not show every field, so that it holds no secret says nothing about them.
        secrets, fields = self.secrets(), _fields(event)
        if holds_secret("\n".join([*event, *fields.values()]), secrets):
            fields = _fields({masked(key, secrets): masked_value(value, secrets) for key, value in event.items()})
        return JournalLine.of(line, fields)


class Journal:
    """The journal's socket."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        with suppress(OSError):  # a sandbox without AF_UNIX, or no descriptor left: all goes to stderr
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def send(self, line: str, level: int) -> bool:
        """Send a line; return False where the socket is away or full, or the line too long. Never blocks."""
        if self._socket is None:
            return False
        fields = {"MESSAGE": line, "PRIORITY": str(_priority(level)), "SYSLOG_IDENTIFIER": IDENTIFIER}
        if isinstance(line, JournalLine):
            fields = {**line.fields, **fields}
        try:
            self._socket.sendto(_datagram(fields), self._path)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket; what is sent later is not taken."""
        if self._socket is not None:
            self._socket.close()


def _priority(level: int) -> int:
    return _PRIORITIES.get(level, 6)


def _fields(event: EventDict) -> dict[str, str]:
    """Return the fields of an event for the journal, as they are."""
    fields = {"REAPER_EVENT": str(event.get("event"))}
    for key, value in event.items():
        if value is not None and key not in _IN_THE_JOURNAL_ANYWAY and (name := _name(key)):
            fields[name] = value if isinstance(value, str) else encode(value)
    return fields


@lru_cache(maxsize=256)
def _name(key: str) -> str:
    """Return a field's name as sd_journal_print(3) allows it; empty: it has none."""
    return re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_0123456789")[:MAX_NAME]


def _datagram(fields: Mapping[str, str]) -> bytes:
    """Return fields as the protocol has them: each on a line, or with its length before it where it has several."""
    lines = "".join([f"{name}={value}\n" for name, value in fields.items()])
    if lines.count("\n") == len(fields):
        return lines.encode("utf-8", "backslashreplace")
    return b"".join(_with_length(name, value.encode("utf-8", "backslashreplace")) for name, value in fields.items())


def _with_length(name: str, data: bytes) -> bytes:
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
