"""Classifies the errors of a send: which fault it was, and a sentence for the operator."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

from reaper.api.http.connect import HandshakeClosed
from reaper.api.http.exchange import Exchange
from reaper.api.http.proxy import ProxyRefused
from reaper.api.httpx_without_cli import httpx
from reaper.core.model import Failed, Fault

_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})

_CERTIFICATE = {
    2: "is signed by an authority that is not trusted here (its issuer is unknown): api.ca_file names those to trust",
    9: "is not yet valid; or this machine's clock is slow",
    10: "has expired; or this machine's clock is fast",
    18: "is self-signed, and not trusted here: api.ca_file names the authorities to trust",
    19: "is signed by an authority that is not trusted here (self-signed): api.ca_file names those to trust",
    20: "is signed by an authority that is not trusted here (its issuer is unknown): api.ca_file names those to trust",
    21: "is signed by an authority that is not trusted here (its issuer is unknown): api.ca_file names those to trust",
    23: "has been revoked",
}
"""By the verification codes of OpenSSL (`man x509_verify_cert_error_string`)."""
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_NO_VERSION = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW")
_NO_CIPHER = ("HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "INSUFFICIENT_SECURITY")


def failure_of(error: BaseException, exchange: Exchange, timeout_s: float, duration_s: float) -> Failed:
    """Return the reply to an exchange that ended with an error."""
    fault, text = classify_error(error, timeout_s)
    status = error.status if isinstance(error, ProxyRefused) else 0
    written = exchange.written and not (exchange.again == 0 and _is_refused_late(error))
    return Failed(fault, written, text, duration_s, exchange.again, status)


def classify_error(error: BaseException, timeout_s: float) -> tuple[Fault, str]:
    """Return the kind of a failure and a sentence about it, which never holds a header. `timeout_s`: of the send."""
    whose = "the proxy" if isinstance(error, httpx.ProxyError) else "the API's host"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return Fault.DNS, f"the name of {whose} cannot be resolved: {cause.strerror}"
        if isinstance(cause, ssl.SSLError):
            return Fault.TLS, f"TLS with {whose} failed: {_tls_reason(cause)}"
        if isinstance(cause, HandshakeClosed):
            return Fault.TLS, f"TLS with {whose} failed: the connection was closed during the handshake"
        if isinstance(cause, OSError) and cause.errno in _NO_RESOURCES:
            return Fault.RESOURCES, f"no connection could be opened: {cause.strerror}"
    match error:
        case ProxyRefused():
            return Fault.PROXY, str(error)
        case httpx.ConnectTimeout():
            return Fault.CONNECT, str(error)
        case httpx.ConnectError() | httpx.ProxyError() if error.__cause__ is None:
            return Fault.CONNECT, str(error)
        case httpx.ProxyError():
            return Fault.CONNECT, "the proxy refused the connection or cannot be reached"
        case httpx.ConnectError():
            return Fault.CONNECT, "the connection was refused or the host cannot be reached"
        case httpx.TimeoutException() | TimeoutError():
            return Fault.TIMEOUT, f"no whole answer within {timeout_s:g} s"
        case httpx.ProtocolError():
            return Fault.MALFORMED, "the answer is not HTTP"
        case _:
            return Fault.RESET, "the connection was closed before the answer was whole"


def _is_refused_late(error: BaseException) -> bool:
    """Return whether the peer wants a certificate of the client.

    With TLS 1.3 it says so when the first request is on its way already, which it then neither reads nor serves.
    """
    return any(isinstance(one, ssl.SSLError) and _wants_certificate(one) for one in _causes(error))


def _wants_certificate(error: ssl.SSLError) -> bool:
    return (error.reason or "").endswith(("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE"))


def _tls_reason(error: ssl.SSLError) -> str:
    """Return what failed and, where there is one, the cure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE.get(error.verify_code)
        return f"its certificate {known}" if known else error.verify_message.rstrip(".")
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return "that port does not speak TLS (plain http?)"
    if reason.endswith(_NO_VERSION) or "legacy sigalg" in str(error):  # the latter from OpenSSL 3.0
        return "it speaks no version of TLS that is allowed here (1.2 or 1.3)"
    if reason.endswith(_NO_CIPHER):
        return (
            "it refused the handshake: there is no cipher in common, it does not know the host's name, or it wants a "
            "certificate of the client"
        )
    if _wants_certificate(error):
        return "it wants a certificate of the client, and reaper has none"
    if isinstance(error, ssl.SSLEOFError) or "EOF" in reason:
        return "the connection was closed during the handshake"
    return reason.replace("_", " ").lower() or error.strerror or "for an unknown reason"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, with those inside of exception groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
