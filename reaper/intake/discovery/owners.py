"""Which batches are alive: from a file, or from a command of the operator's (SPEC 7)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from reaper.core.discovery.sightings import Owners

KEPT_S = 30.0
"""How long an answer is good: a last look before each DELETE must not run the command for each."""
MAX_BYTES = 16 * 1024 * 1024


@dataclass(slots=True, eq=False)
class OwnersSource:
    """`discovery.owners_*`. Whatever goes wrong means that the owners are not known, so that nothing is orphaned."""

    file: Path | None = None
    command: Sequence[str] = ()
    timeout_s: float = 10.0
    failed: Callable[[str], None] = lambda sentence: None
    """Told once per change why the owners are not known."""
    now: Callable[[], float] = anyio.current_time
    _known: Owners = None
    _at: float = float("-inf")
    _wrong: str | None = None

    async def read(self) -> Owners:
        """Return the live batch IDs; None when they are not known, or none is configured."""
        if self.file is None and not self.command:
            return None
        if self.now() - self._at < KEPT_S:
            return self._known
        try:
            text = await (to_thread.run_sync(_read, self.file) if self.file is not None else self._run())
            self._known, wrong = frozenset(_lines(text)) or None, None
            if self._known is None:
                wrong = "no owner is named: all count as alive"
        except (OSError, UnicodeDecodeError, _Failed) as error:
            self._known, wrong = None, f"{error}: all owners count as alive"
        self._at = self.now()
        if wrong != self._wrong and wrong is not None:
            self.failed(f"discovery.owners: {wrong}")
        self._wrong = wrong
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
            raise _Failed(f"{self.command[0]} said too much")
        return done.stdout.decode("utf-8")


class _Failed(Exception):
    """The command gave no answer that can be used."""


def _read(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:  # cut off, it would make orphans of the rest
        raise _Failed(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return text.decode("utf-8")


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
