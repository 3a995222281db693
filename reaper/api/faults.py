"""Classifies the errors of a send: which fault it was, and a sentence for the operator."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

from reaper.core.model import Fault

_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def classify_error(error: BaseException, timeout_s: float, connect_timeout_s: float) -> tuple[Fault, str]:
    """Return the kind of a failure and a sentence about it, which never holds a header. Timeouts are in seconds."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return Fault.DNS, f"the name of the API's host cannot be resolved: {cause.strerror}"
        if isinstance(cause, ssl.SSLError):
            return Fault.TLS, f"TLS failed: {cause.reason or cause.strerror}"
        if isinstance(cause, OSError) and cause.errno in _NO_RESOURCES:
            return Fault.RESOURCES, f"no connection could be opened: {cause.strerror}"
    if isinstance(error, httpx.ConnectTimeout):
        return Fault.CONNECT, f"no connection within {connect_timeout_s:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return Fault.CONNECT, "the connection was refused or the host cannot be reached"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Fault.TIMEOUT, f"no whole answer within {timeout_s:g} s"
    if isinstance(error, httpx.ProtocolError) and "disconnected" not in str(error):
        return Fault.MALFORMED, "the answer is not HTTP"
    return Fault.RESET, "the connection was closed before the answer was whole"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, with those inside of exception groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
