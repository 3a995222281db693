"""Parses requests to the health listener, and checks whose page sent them: DNS rebinding, other origins. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

_VERSION = re.compile(r"HTTP/1\.[0-9]")
_HOST = re.compile(r"(?:\[(?P<six>[^\]\[]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")
_ONCE = frozenset(
    {"host", "origin", "authorization", "content-length", "content-type", "sec-fetch-site", "transfer-encoding"}
)
"""Headers on which a decision depends: a request with two of one is refused."""
MAX_FIELDS = 20
"""Fields of a query that are read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` has no query; `host` is None if no Host header was sent."""

    method: str
    path: str
    host: str | None
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    """By name in lower case."""
    body: bytes = b""
    foreign: bool = False
    """A Host header names something else than this listener, as that of a browser which a site led here does."""

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the query, the last of each name; none of a query that cannot be read."""
        try:
            return dict(parse_qsl(self.query, max_num_fields=MAX_FIELDS))
        except ValueError:
            return {}


def read_head(head: bytes) -> Request | None:
    """Return the request of a complete head; None if it is not HTTP/1 or repeats a header that must be there once."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    if len(words) != 3 or not _VERSION.fullmatch(words[2]):
        return None
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    names = [name for name, _ in pairs if name in _ONCE]
    if len(names) != len(set(names)):
        return None
    headers = dict(pairs)
    path, _, query = words[1].partition("?")
    return Request(words[0], path, headers.get("host"), query, headers)


def is_same_origin(request: Request) -> bool:
    """Return whether no page of another origin sent a request: what a browser says of it, where one sent it.

    A program sends neither header. A page of another site, or of a file, cannot leave them out or forge them.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    own = {f"{scheme}://{request.host}".lower() for scheme in ("http", "https")}
    return (origin is None or origin.lower() in own) and site in (None, "same-origin")


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
