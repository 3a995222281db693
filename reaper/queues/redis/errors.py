"""Translates the library's errors: `QueueUnavailableError` for those that may pass by themselves."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TooLate

from reaper.core.errors import QueueError, QueueUnavailableError

NEWER = "NEWER"
"""Begins the error of our scripts when a newer reaper has migrated the queue since it was opened."""
REPLACED = "REPLACED"
"""Begins the error of our scripts when the queue is not the one that was opened."""

_MOVED = "is not the cluster's node for this queue: name that one in queue.url"
_PASSING = {
    "OOM": "is out of memory: give it more (maxmemory); nothing that was accepted is lost",
    "MISCONF": "cannot write to its disk and takes nothing in: make room or repair it",
    "READONLY": "is a replica and takes no writes: if no failover is under way, name the primary in queue.url",
    "NOREPLICAS": "has too few replicas in step and takes no writes (min-replicas-to-write)",
    "MASTERDOWN": "is a replica that has lost its primary",
    "BUSY": "is busy with a script",
    "CLUSTERDOWN": "belongs to a cluster that is down",
    "TRYAGAIN": "is moving the queue to another node",
    "MOVED": _MOVED,
    "ASK": _MOVED,
}
_UNAUTHENTICATED = "Protocol error: unauthenticated"
"""Begins the answer to a long command on a connection without a password, to a server that has one meanwhile."""
_FORBIDDEN = ("can't run this command", "has no permissions")
"""Parts of the error of Redis 7.0 and Valkey 9 when a right is missing inside a script."""
# Before 7.0 the server wraps an error inside a script into a sentence of its own.
_code = re.compile(rf"(?:^|[\s-])({'|'.join((*_PASSING, 'NOPERM', REPLACED, NEWER))})\b").search


def newer(name: str) -> QueueError:
    """Return the error for a queue of a newer schema."""
    return QueueError(f"the queue at {name} was written by a newer reaper: use that version")


def translated(error: RedisError | OSError, name: str) -> QueueError:
    """Return the error for the caller; `name` is the server's URL without secrets."""
    match error:
        case AuthenticationError() | AuthorizationError():
            return _refused(name)
        case BusyLoadingError():
            return QueueUnavailableError(f"{name} is still reading its data after a restart: nothing is lost")
        case TooLate():
            return QueueUnavailableError(f"{name} did not answer in time: see whether it is overloaded")
        case InvalidResponse():
            return QueueError(f"what answers at {name} is not Redis: check the port in queue.url")
        case NotConnected() | OSError():
            return QueueUnavailableError(
                f"{name} cannot be reached ({_reason(error)}): see whether it runs and whether this machine may connect"
            )
        case _:
            return _answered(error, name)


def _refused(name: str) -> QueueError:
    return QueueUnavailableError(f"{name} refused the user or the password: check those in queue.url")


def _answered(error: RedisError, name: str) -> QueueError:
    if _UNAUTHENTICATED in str(error):
        return _refused(name)
    code = _code_of(error)
    if code in _PASSING:
        return QueueUnavailableError(f"{name} {_PASSING[code]}")
    if code == REPLACED:
        return QueueError(
            f"the queue at {name} was emptied or replaced while it was in use: find out how, and what it held, then "
            "start again"
        )
    if code == NEWER:
        return newer(name)
    if code == "NOPERM" or any(words in str(error) for words in _FORBIDDEN):
        return QueueError(
            f"{name} forbids what the queue needs: give its user the rights that the documentation names ({error})"
        )
    return QueueError(f"{name} cannot be used: {error}")


def _code_of(error: RedisError) -> str:
    match error:
        case OutOfMemoryError():
            return "OOM"
        case ReadOnlyError():
            return "READONLY"
        case NoPermissionError():
            return "NOPERM"
        case _:
            # The library takes some codes off the text and makes them types.
            kind = type(error).__name__.removesuffix("Error").upper()
            found = _code(str(error))
            return found[1] if found else kind


def _reason(error: Exception) -> str:
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(error).rstrip(".") or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
