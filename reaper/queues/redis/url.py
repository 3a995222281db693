"""Parses `redis://` URLs. Nothing that is shown holds the password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from reaper.core.errors import ConfigError
from reaper.core.urls import split_url

SCHEMES = {"redis": False, "rediss": True}
"""The schemes of this engine, and whether they mean TLS."""
PREFIX = "reaper"
_prefix = re.compile(r"[A-Za-z0-9._:-]{1,64}").fullmatch


@dataclass(frozen=True, slots=True)
class Target:
    """Where the queue is; `prefix` begins the name of each of its keys."""

    host: str
    port: int
    db: int
    tls: bool
    prefix: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @property
    def shown(self) -> str:
        """Return the server's URL without user, password and parameters."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"

    @property
    def tag(self) -> str:
        """Return the beginning of all keys; the braces put them into one slot of a cluster."""
        return f"{{{self.prefix}}}"


def parse_url(url: str) -> Target:
    """Return the target that `redis://[user:password@]host[:port][/db][?prefix=NAME&ca_file=PATH]` names.

    Raises ConfigError, whose message holds no part of the URL but names of parameters.
    """
    use = "use redis://[USER:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME]"
    parts = split_url(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname or parts.fragment:
        raise ConfigError(f"queue.url cannot be read: {use}")
    try:
        port = parts.port
        more = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError(f"queue.url cannot be read: {use}") from None
    tls = SCHEMES[parts.scheme]
    for name, values in more.items():
        if name not in ("prefix", "ca_file") or len(values) != 1 or not values[0]:
            raise ConfigError("queue.url: the parameters of a Redis URL are prefix and ca_file, each once")
    prefix, ca_file = more.get("prefix", [PREFIX])[0], more.get("ca_file", [None])[0]
    if not _prefix(prefix):
        raise ConfigError("queue.url: prefix has letters, digits and . _ : - only, at most 64")
    if ca_file and not tls:
        raise ConfigError("queue.url: ca_file is for TLS: use rediss://")
    db = parts.path.strip("/")
    if not re.fullmatch(r"[0-9]{0,4}", db):
        raise ConfigError(f"queue.url: after the host comes the number of a database: {use}")
    return Target(
        host=parts.hostname,
        port=6379 if port is None else port,
        db=int(db or 0),
        tls=tls,
        prefix=prefix,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ca_file=ca_file,
    )
