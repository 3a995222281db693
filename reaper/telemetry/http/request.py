"""What the health listener reads of a request, and whether a browser may have been led here. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_VERSION = re.compile(r"HTTP/1\.[0-9]")
_HOST = re.compile(r"(?:\[(?P<six>[^\]\[]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Request:
    """The head of one request. `path` is without the query; `host` is None where none was sent."""

    method: str
    path: str
    host: str | None


def read_head(head: bytes) -> Request | None:
    """Return the request that a whole head asks for, None when it is none of HTTP/1: also with two Host lines."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    if len(words) != 3 or not _VERSION.fullmatch(words[2]):
        return None
    named = [line.partition(":") for line in lines]
    hosts = [value.strip() for name, _, value in named if name.lower() == "host"]
    if len(hosts) > 1:
        return None
    return Request(words[0], words[1].partition("?")[0], hosts[0] if hosts else None)


def is_ours(host: str | None, listen_host: str) -> bool:
    """Return whether a Host line names this listener by what no stranger can point here.

    A page of another site can have its own name resolve to this address, and would then be of the same origin as what
    is answered (DNS rebinding). It cannot do that with an address, with `localhost`, or with a name that the operator
    configured. The port does not matter: a tunnel has another.
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
