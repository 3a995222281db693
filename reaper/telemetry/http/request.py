"""Parses requests to the health listener, and checks their Host header against DNS rebinding. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_VERSION = re.compile(r"HTTP/1\.[0-9]")
_HOST = re.compile(r"(?:\[(?P<six>[^\]\[]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Request:
    """The head of one request. `path` has no query; `host` is None if no Host header was sent."""

    method: str
    path: str
    host: str | None


def read_head(head: bytes) -> Request | None:
    """Return the request of a complete head; None if it is not HTTP/1 or has two Host headers."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    if len(words) != 3 or not _VERSION.fullmatch(words[2]):
        return None
    headers = [line.partition(":") for line in lines]
    hosts = [value.strip() for name, _, value in headers if name.lower() == "host"]
    if len(hosts) > 1:
        return None
    return Request(words[0], words[1].partition("?")[0], hosts[0] if hosts else None)


def is_ours(host: str | None, listen_host: str) -> bool:
    """Return whether a Host header names this listener in a way that no other site can cause.

    A site can let its own name resolve to this address; its scripts would then share the origin of these pages (DNS
    rebinding). It cannot do that with an address, with `localhost`, or with the operator's name in `listen_host`. The
    port does not matter: a tunnel has another one.
    """
    match = _HOST.fullmatch(host or "")
    if match is None:
        return False
    if (six := match["six"]) is not None:
        return _is_address(six, 6)
    name = match["name"].lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or _is_address(name, 4) or name == listen_host.lower()


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
