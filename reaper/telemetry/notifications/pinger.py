"""A monitor's address that is pinged while all is well, and with `/fail` behind it otherwise (healthchecks.io).

No redirect is followed: the address is a secret, and so is what it would be sent to. Proxies are those of the usual
variables: a ping carries no token of the API.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reaper.core.text import sanitize
from reaper.core.urls import fail_url, masked_ping
from reaper.core.version import __version__
from reaper.telemetry.notifications.mailbox import NotSentError

TIMEOUT_S = 5.0
"""Of connecting, and of each read."""
MAX_BYTES = 10_000
"""Of the text beside a ping; healthchecks.io keeps 100 kB."""


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping. `text` says how it stands, without session IDs."""

    is_good: bool
    text: str


class Pinger:
    """Pings one address."""

    def __init__(self, url: str) -> None:
        self.name = masked_ping(url)
        self._url = url
        self._open = urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=_context())).open

    def prepare(self) -> Callable[[Ping], None]:
        """Return the function that pings. A ping that arrives twice does no harm, so no failure is doubtful."""
        return self._send

    def _send(self, ping: Ping) -> None:
        request = urllib.request.Request(
            self._url if ping.is_good else fail_url(self._url),
            data=ping.text.encode("utf-8", "replace")[:MAX_BYTES],
            headers={"User-Agent": f"archal-reaper/{__version__}", "Content-Type": "text/plain; charset=utf-8"},
            method="POST",
        )
        try:
            with self._open(request, timeout=TIMEOUT_S) as response:
                response.read(1024)
        except urllib.error.HTTPError as error:
            error.close()
            moved = "; write the address that it leads to" if error.code // 100 == 3 else ""
            raise NotSentError(f"it answered {error.code}{moved}") from None
        except urllib.error.URLError as error:
            raise NotSentError(_reason(error.reason)) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotSentError(_reason(error)) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _reason(error: object) -> str:
    """Return why there was no answer; none of these texts repeats the URL."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {sanitize(error.verify_message)}"
    if isinstance(error, OSError) and error.strerror:
        return sanitize(error.strerror)
    return type(error).__name__


def _context() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities (`SSL_CERT_FILE`), and the built-in ones."""
    import certifi  # a dependency of httpx

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # by hand: no `SSLKEYLOGFILE`
    context.set_default_verify_paths()
    context.load_verify_locations(certifi.where())
    return context
