"""The way through a forward proxy: CONNECT (RFC 9110, 9.3.6) for https, before the connection's own TLS.

The proxy sees the host and the port of the API, and its own credentials; not the token and not the requests. For http
there is no tunnel: the request itself goes to the proxy, with the whole URL as its target (RFC 9112, 3.2.2).
"""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote_to_bytes

from reaper.api.http.exchange import MAX_HEAD_BYTES
from reaper.api.httpx_without_cli import httpx
from reaper.core.version import __version__

_PORTS = {"http": 80, "https": 443}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: ([^\r\n]*))?\r\n").match
USER_AGENT = f"archal-reaper/{__version__}".encode()


class ProxyRefused(httpx.ProxyError):
    """The proxy's own answer to CONNECT, which opened no tunnel. The text is for the operator."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Proxy:
    """The address of a proxy, and the credentials that go to it and nowhere else."""

    host: str
    port: int
    tls: bool
    authorization: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read `http[s]://[user:password@]host[:port]`; user name and password are percent-decoded."""
        parsed = httpx.URL(url)
        credentials = None
        if parsed.userinfo:
            user, _, password = parsed.userinfo.partition(b":")
            credentials = b"Basic " + base64.b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password))
        host = parsed.raw_host.decode("ascii")
        return cls(host, parsed.port or _PORTS[parsed.scheme], parsed.scheme == "https", credentials)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header with the credentials, if there are any."""
        return () if self.authorization is None else ((b"proxy-authorization", self.authorization),)


def authority(host: str, port: int) -> bytes:
    """Return `host:port`, an IPv6 address in brackets."""
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")


class Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel to `host:port`. Nothing else may be read from the transport until that is answered."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        to = authority(host, port)
        lines = [b"CONNECT %b HTTP/1.1" % to, b"Host: " + to, b"User-Agent: " + USER_AGENT]
        lines += [b"Proxy-Authorization: " + value for _, value in proxy.headers]
        self._request = b"\r\n".join(lines) + b"\r\n\r\n"
        self._received = b""
        self._transport: asyncio.Transport
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the tunnel is open; has an httpx.ProxyError when the proxy opens none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while not self.opened.done():
            head, ended, rest = self._received.partition(b"\r\n\r\n")
            if len(head) > MAX_HEAD_BYTES or not b"HTTP/1.".startswith(self._received[:7]):
                return self._fail(httpx.ProxyError("the proxy's answer to CONNECT is not HTTP"))
            if not ended:
                return None
            self._received = rest
            self._judge(head + b"\r\n")
        if self._received:  # after the answer, and before TLS
            self._transport.abort()
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(httpx.ProxyError("the proxy closed the connection before it answered CONNECT"))

    def _judge(self, head: bytes) -> None:
        line = _STATUS_LINE(head)
        if line is None:
            return self._fail(httpx.ProxyError("the proxy's answer to CONNECT is not HTTP"))
        status = int(line[1])
        if 200 <= status < 300 and self._received:  # TLS begins with our words: these would be read as the API's
            self._fail(httpx.ProxyError("the proxy sent something behind its answer to CONNECT"))
        elif 200 <= status < 300:
            self.opened.set_result(None)
        elif status >= 200:
            reason = " ".join(
                "".join(c if c.isprintable() else " " for c in (line[2] or b"").decode("latin-1")).split()
            )
            text = f"the proxy answered {status}{' ' + reason[:60] if reason else ''} to CONNECT"
            self._fail(ProxyRefused(text, status) if status < 500 else httpx.ProxyError(text))
        return None

    def _fail(self, error: httpx.ProxyError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
        self._transport.abort()
