"""Read the live batch IDs from a file or from a command of the operator (docs/discovery.md)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from reaper.core.discovery.sightings import Owners

CACHE_S = 30.0
"""A result stays valid for so long: the preflight checks of many DELETEs must not run the command for each."""
MAX_BYTES = 16 * 1024 * 1024


@dataclass(slots=True, eq=False)
class OwnersSource:
    """Reads `discovery.owners_*`. After any failure the owners are unknown, so that no session counts as orphaned."""

    file: Path | None = None
    command: Sequence[str] = ()
    timeout_s: float = 10.0
    on_failure: Callable[[str], None] = lambda sentence: None
    """Called once per change with the reason why the owners are unknown."""
    now: Callable[[], float] = anyio.current_time
    _known: Owners = None
    _read_at: float = float("-inf")
    _failure: str | None = None

    async def read(self) -> Owners:
        """Return the live batch IDs; None when they are unknown or no source is configured."""
        if self.file is None and not self.command:
            return None
        if self.now() - self._read_at < CACHE_S:
            return self._known
        try:
            text = await (to_thread.run_sync(_read, self.file) if self.file is not None else self._run())
            self._known, failure = frozenset(_lines(text)) or None, None
            if self._known is None:
                failure = "no owner is named: all count as alive"
        except (OSError, UnicodeDecodeError, _Failed) as error:
            self._known, failure = None, f"{error}: all owners count as alive"
        self._read_at = self.now()
        if failure != self._failure and failure is not None:
            self.on_failure(f"discovery.owners: {failure}")
        self._failure = failure
        return self._known

    async def _run(self) -> str:
        try:
            with anyio.fail_after(self.timeout_s):
                done = await anyio.run_process(list(self.command), check=False, stderr=subprocess.DEVNULL)
        except TimeoutError:
            raise _Failed(f"{self.command[0]} did not end within {self.timeout_s:g} s") from None
        if done.returncode:
            raise _Failed(f"{self.command[0]} ended with {done.returncode}")
        if len(done.stdout) > MAX_BYTES:
            raise _Failed(f"{self.command[0]} printed more than {MAX_BYTES // 1024 // 1024} MiB")
        return done.stdout.decode("utf-8")


class _Failed(Exception):
    """The file or the command gave no usable list."""


def _read(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:  # a truncated list would orphan the missing batches
        raise _Failed(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return text.decode("utf-8")


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
