"""The certificate authorities that are trusted: `api.ca_file`, read again when it changes, or the built-in ones.

Contexts are made by hand: `ssl.create_default_context` would write the keys of all connections into the file that
`SSLKEYLOGFILE` names.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from reaper.api.http.connect import TlsSource
from reaper.core.errors import ConfigError
from reaper.core.files import read_regular

MAX_BYTES = 16 * 1024 * 1024

READ_S = 0.5
"""Time that a handshake waits for a look at the bundle."""
_Version = tuple[int, int, int, int, int]


class Trust:
    """Makes the TLS contexts for one API; each caller of `source` gets its own.

    A bundle that changed is taken up by the next handshake. One that cannot be used changes nothing, and is reported
    once.
    """

    def __init__(self, ca_file: str | None, report: Callable[[str], None]) -> None:
        """Raise ConfigError when `ca_file` cannot be used now. `report` gets a sentence when it cannot later."""
        self._ca_file = ca_file
        self._report = report
        self._seen = self._version()
        self._contexts: list[ssl.SSLContext] = [self._new()]
        self._sources = 0
        self._reading: asyncio.Future[None] | None = None

    def source(self) -> TlsSource:
        """Return a function that returns the context for the next handshake; it is shared with no other source."""
        number = self._sources
        self._sources += 1
        while len(self._contexts) <= number:
            self._contexts.append(self._new())

        async def current() -> ssl.SSLContext:
            if self._ca_file is not None:
                await self._refresh()
            return self._contexts[number]

        return current

    async def _refresh(self) -> None:
        """Take up a bundle that changed. One that cannot be read in time (a stalled mount) is taken up when it is."""
        if self._reading is None:
            loop = asyncio.get_running_loop()
            try:
                threading.Thread(target=self._read, args=(loop,), name="api.ca_file", daemon=True).start()
            except RuntimeError:  # no thread can be had now: the next handshake tries again
                return
            self._reading = loop.create_future()
        await asyncio.wait([self._reading], timeout=READ_S)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        contexts, fault = self._contexts, None
        if (version := self._version()) != self._seen:
            try:
                contexts = [self._new() for _ in self._contexts]
            except ConfigError as error:
                fault = f"{error}; the certificate authorities read before stay in force"

        def take_up() -> None:
            self._seen, self._contexts = version, contexts
            if fault is not None:
                self._report(fault)
            if self._reading is not None:
                self._reading.set_result(None)
                self._reading = None

        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(take_up)

    def _version(self) -> _Version | None:
        """Return values that differ when the file's content does; None when there is no file."""
        try:
            found = os.stat(self._ca_file) if self._ca_file else None
        except OSError:
            return None
        return found and (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _new(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._ca_file is None:
            import certifi  # a dependency of httpx

            context.load_verify_locations(certifi.where())
            return context
        try:
            # Comments in a bundle may hold any bytes; certificates are ASCII.
            context.load_verify_locations(cadata=read_regular(self._ca_file, MAX_BYTES).decode("ascii", "ignore"))
        except (OSError, ValueError) as error:  # ValueError: it is empty
            is_unread = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
            reason = getattr(error, "strerror", None) if is_unread else "it holds no certificate in PEM form"
            raise ConfigError(f"api.ca_file: {self._ca_file} cannot be used: {reason}") from error
        return context
