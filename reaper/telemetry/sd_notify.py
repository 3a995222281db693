"""Notifies systemd of the service's state: one datagram to `$NOTIFY_SOCKET` (sd_notify(3)), if it is set."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from reaper.core.text import escaped


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends notifications to the service manager. `address` None: send nothing. `watchdog_s` 0: no watchdog."""

    address: str | None
    watchdog_s: float = 0.0

    def notify(self, **fields: str) -> None:
        """Send fields such as READY="1". Never raises: an absent manager must not stop the service."""
        if self.address is None:
            return
        message = "\n".join(f"{name}={escaped(' '.join(value.split()))}" for name, value in fields.items())
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
                sock.sendto(message.encode(), address)
        except OSError:
            return


def notifier_of(environ: Mapping[str, str], pid: int | None = None) -> Notifier:
    """Return the notifier for systemd's variables; its watchdog only if that is for `pid` (None: this process)."""
    address = environ.get("NOTIFY_SOCKET") or None
    micros = environ.get("WATCHDOG_USEC", "")
    for_this_process = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
    return Notifier(address, int(micros) / 1e6 if micros.isdigit() and for_this_process else 0.0)
