"""Read the live batch IDs from a file or from a command of the operator (docs/discovery.md)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from reaper.core.discovery.entries import entries_of, fault_of_name, with_words
from reaper.core.discovery.sightings import Owners
from reaper.core.files import read_regular

CACHE_S = 30.0
"""A result stays valid for so long: the preflight checks of many DELETEs must not run the command for each."""
_PASSED_ON = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"})
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
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _known: Owners = None
    _read_at: float = float("-inf")
    failure: str | None = None
    """Why the owners are unknown, of the last reading."""

    async def read(self) -> Owners:
        """Return the live batch IDs; None when they are unknown or no source is configured."""
        if self.file is None and not self.command:
            return None
        if self.now() - self._read_at < CACHE_S:
            return self._known
        try:
            text = await (self._read_file(self.file) if self.file is not None else self._run())
            self._known, failure = frozenset(with_words(self._entries(text))) or None, None
            if self._known is None:
                failure = f"{self.file or self.command[0]} names no owner"
        except (OSError, UnicodeDecodeError, _Failed) as error:
            self._known, failure = None, str(error)
        self._read_at = self.now()
        if failure != self.failure and failure is not None:
            self.on_failure(f"discovery.owners: {failure}: all owners count as alive")
        self.failure = failure
        return self._known

    def _entries(self, text: str) -> list[str]:
        """Return the names in an answer. A line that can match nothing would orphan the batch that it was meant for."""
        try:
            return entries_of(text, fault_of_name)
        except ValueError as error:
            raise _Failed(f"{self.file or self.command[0]}: {error}") from None

    async def _read_file(self, file: Path) -> str:
        try:
            with anyio.fail_after(self.timeout_s):
                # A thread that hangs in a mount that stalled is left behind.
                return await to_thread.run_sync(_read, file, abandon_on_cancel=True)
        except TimeoutError:
            raise _Failed(f"{file} could not be read within {self.timeout_s:g} s") from None

    async def _run(self) -> str:
        try:
            with anyio.fail_after(self.timeout_s):
                done = await anyio.run_process(
                    list(self.command), check=False, stderr=subprocess.DEVNULL, env=clean_environment(self.environ)
                )
        except TimeoutError:
            raise _Failed(f"{self.command[0]} did not end within {self.timeout_s:g} s") from None
        if done.returncode:
            raise _Failed(f"{self.command[0]} ended with {done.returncode}")
        if len(done.stdout) > MAX_BYTES:
            raise _Failed(f"{self.command[0]} printed more than {MAX_BYTES // 1024 // 1024} MiB")
        return done.stdout.decode("utf-8")


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that any program needs to run as this user: no token, no password, no setting of reaper."""
    return {name: value for name, value in environ.items() if name in _PASSED_ON or name.startswith("LC_")}


class _Failed(Exception):
    """The file or the command gave no usable list."""


def _read(path: Path) -> str:
    try:
        # Whole or not at all: a truncated list would orphan the missing batches.
        return read_regular(path, MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise _Failed(f"{path} cannot be read: {error.strerror}") from error
