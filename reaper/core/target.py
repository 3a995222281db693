"""The address of the API in one form, and the address of a queue (docs/concepts.md). Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from reaper.core.model import Outcome, Pause, PauseReason
from reaper.core.text import sanitize

KEY = "target"
"""The key under which the queue keeps the address at which its sessions live."""
ACCEPT = "reaper check --accept-target"
"""The command that pins a queue to the address and the account of now."""
CHECK_ADDRESS = "check api.base_url, and any proxy or gateway in between"
"""The remedy where something else than the API answers."""
CHECK_PROXY = "check api.proxy, its credentials, and the hosts and ports that it allows"
"""The remedy where a proxy refuses to open a tunnel to the API."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OtherTarget:
    """The settings name another address than the one of the queue. Nothing was sent there."""

    pinned: str
    found: str

    @property
    def detail(self) -> str:
        """Both addresses and the ways out, as one phrase."""
        pinned = self.pinned if self.pinned.isprintable() else sanitize(self.pinned)  # uncut: the end may differ
        return (
            f"api.base_url is {self.found}, but the sessions of the queue live at {pinned}: nothing is "
            f"sent, and the token stays here, until the setting is corrected or the new address accepted by: {ACCEPT}"
        )


@dataclass(slots=True)
class TargetHold:
    """The gate's part of it: holds everything up while the address is not the queue's. Instants as the gate's."""

    pause: Pause | None = None
    has_stopped: bool = False
    """Whether a DELETE that went to the present address was answered with 2xx."""
    _moved_at: float = float("-inf")

    def hold(self, now: float, detail: str | None) -> bool:
        """Begin, go on, or (None) end; return whether it ended now."""
        ended = detail is None and self.pause is not None
        if detail is None:
            self.pause = None
        elif self.pause is None or self.pause.detail != detail:
            since = now if self.pause is None else self.pause.since
            self.pause = Pause(PauseReason.WRONG_TARGET, since, detail, needs_operator=True)
        return ended

    def hides(self, reason: PauseReason) -> bool:
        """Return whether this hold is the better account of that reason to send nothing."""
        return self.pause is not None and reason is self.pause.reason

    def move(self, now: float) -> None:
        """Note that another address holds from `now` on: what an earlier one answers is no proof of it."""
        self.has_stopped, self._moved_at = False, now

    def observe(self, outcome: Outcome, began: float) -> None:
        """Take in the final answer to a send that began at that instant."""
        self.has_stopped |= outcome is Outcome.STOPPED and began >= self._moved_at


def address_of(url: str) -> str:
    """Return the address that a valid URL of the API names: equal for two URLs of one place, else different.

    Scheme and host are in lower case; a default port, a trailing dot of the host and a trailing slash are left out. A
    name in another script has the form that is asked of the DNS (RFC 5891). A user name or password is not part of it.
    """
    parts = urlsplit(url)
    port = parts.port
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{_host(parts.hostname or '')}{shown}{parts.path.rstrip('/')}"


def compare_address(found: str, pinned: str | None) -> OtherTarget | None:
    """Return None when the address (as of `address_of`) is the queue's, or the queue has none; else both."""
    return None if pinned in (None, found) else OtherTarget(pinned or "", found)


def _host(host: str) -> str:
    if ":" in host:
        address, percent, zone = host.partition("%")
        try:
            return f"[{ipaddress.IPv6Address(address).compressed}{percent}{zone}]"
        except ValueError:
            return f"[{host}]"
    # Each label by itself, without the mappings of RFC 3490: they would make one name of two that the DNS keeps apart.
    return ".".join(map(_label, host.removesuffix(".").lower().split(".")))


def _label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
