"""Parses `postgresql://` URLs and translates errors into sentences that hold no secret of the URL."""

from __future__ import annotations

import re

import psycopg
from psycopg import conninfo

from reaper.core.errors import ConfigError, QueueError, QueueUnavailableError

CONNECT_TIMEOUT_S = 5
_GONE_AFTER_MS = 15_000
"""A server that answers nothing at all for so long is considered gone."""

_HOST = re.compile(r"[A-Za-z0-9._:%-]+|/[A-Za-z0-9._/-]+")
_ROLLED_BACK = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available: the statement has not happened."""
_NO_TABLE = frozenset({"42P01", "42703", "42883"})
_COMING_OR_GOING = frozenset({"57P01", "57P02", "57P03"})
_MAY_PASS = frozenset({"08", "28", "40", "53", "57", "58"})
"""Classes of SQLSTATE: connection, authorization, undone, out of resources, operator, system."""
_MAY_PASS_TOO = frozenset({"0A000", "25006", "25P03", "55000", "55006", "55P03"})
"""Not on a standby, read-only since a failover, idle for too long, not accepting connections, in use, locked."""

# An error of connecting carries no SQLSTATE. In another language than English it is taken for one that may pass.
_WORDS = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("SASL authentication failed", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("is not permitted to log in", "28000"),
    ("the database system is", "57P03"),
    ("too many connections", "53300"),
    ("too many clients already", "53300"),
    ("remaining connection slots", "53300"),
    ("no more connections allowed", "53300"),
    ("permission denied for database", "42501"),
    ("no such database", "3D000"),
)
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')
_NO_ROLE = re.compile(r'role "[^"]*" does not exist|no such user')


def parameters(url: str) -> dict[str, str]:
    """Return the parameters with which libpq connects to `url`.

    Raises ConfigError for a URL that cannot be read: a password with a bare `@` or `/` in it would otherwise be taken
    for a host and printed.
    """
    if not url.startswith("postgresql://"):
        raise ConfigError(_unreadable(""))
    try:
        found = {name: str(value) for name, value in conninfo.conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, ValueError):
        raise ConfigError(_unreadable("")) from None
    hosts = found.get("host", "").split(",")
    ports = found.get("port", "").split(",")
    if any(host and not _HOST.fullmatch(host) for host in hosts) or any(p and not p.isdecimal() for p in ports):
        raise ConfigError(_unreadable(": host or port")) from None
    defaults: dict[str, str | int] = {
        "connect_timeout": max(2, CONNECT_TIMEOUT_S // len(hosts)),
        "application_name": "archal-reaper",
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": _GONE_AFTER_MS,
    }
    # The client's encoding belongs to the driver: in another one than UTF-8 it could not send every text.
    return {name: str(value) for name, value in defaults.items()} | found | {"client_encoding": "UTF8"}


def _unreadable(where: str) -> str:
    return (
        f"queue.url cannot be read as postgresql://USER:PASSWORD@HOST/DATABASE{where}: "
        "percent-encode special characters of the password (%40 for @, %2F for /)"
    )


def place(params: dict[str, str]) -> str:
    """Return the server and database of a URL in words."""
    host = params.get("host") or params.get("hostaddr") or "the default host"
    port = f":{params['port']}" if params.get("port") else ""
    name = params.get("dbname") or params.get("user")
    return f"PostgreSQL at {host}{port}" + (f", database {name}" if name else "")


def is_rolled_back(error: psycopg.Error) -> bool:
    """Return whether a repetition is right and safe: the server rolled the statement back in favour of another."""
    return error.sqlstate in _ROLLED_BACK


def connect_s(params: dict[str, str]) -> float:
    """Return how long a connection may take altogether: names, every host, TLS and authentication included."""
    given = params["connect_timeout"]
    each = int(given) if given.isdecimal() else CONNECT_TIMEOUT_S
    return float(max(CONNECT_TIMEOUT_S, each * len(params.get("host", "").split(","))))


def may_pass(error: psycopg.Error | OSError) -> bool:
    """Return whether the cause may pass by itself: then the operation may be repeated."""
    state = _state(error)
    if state is None:
        return isinstance(error, OSError | psycopg.OperationalError | psycopg.InterfaceError)
    return state[:2] in _MAY_PASS or state in _MAY_PASS_TOO


def translated(error: psycopg.Error | OSError, where: str, password: str | None = None) -> QueueError:
    """Return the error to raise, with its cause: `QueueUnavailableError` for one that may pass by itself."""
    text = _sentence(error, where)
    kind = QueueUnavailableError if may_pass(error) else QueueError
    result = kind(text.replace(password, "***") if password else text)
    result.__cause__ = error
    return result


def _state(error: psycopg.Error | OSError) -> str | None:
    """Return the SQLSTATE, read from the words where there is none."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate
    said = str(error)
    if _NO_DATABASE.search(said):
        return "3D000"
    if _NO_ROLE.search(said):
        return "28000"
    return next((state for words, state in _WORDS if words in said), None)


def _sentence(error: psycopg.Error | OSError, where: str) -> str:
    state = _state(error)
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    if state is None:
        to_do = "; see whether it runs and lets this machine connect" if may_pass(error) else ""
        return f"{where} cannot be used: {first}{to_do}"
    said = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or first
    if state == "28P01":
        return f"{where} refuses the user or the password of queue.url"
    if state.startswith("28"):
        return f"{where} refuses the user of queue.url, or this machine: {said}"
    if state in _NO_TABLE:
        return f"{where} holds no queue, or one of another version ({said}): run `reaper queue init`"
    if state in _COMING_OR_GOING:
        return f"{where} is starting or stopping: nothing that was accepted is lost, try again"
    match state:
        case "3D000":
            return f"{where} is not there: create it, or name another one with --queue"
        case "42501" | "3F000":
            return f"{where} gives this role too few rights ({said}): see docs/queues-postgres.md"
        case "25006" | "0A000":
            return f"{where} is a standby, or set to read only: name the primary"
        case "53100":
            return f"the disk of {where} is full: make room, nothing that was accepted is lost"
        case "53300":
            return f"{where} has no connection to spare: a reaper needs up to four"
        case _:
            return f"{where} cannot be used: {said} ({state})"
