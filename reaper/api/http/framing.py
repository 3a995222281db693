"""HTTP/1.1 syntax that needs no state: header lines of a request, framing of a response."""

from __future__ import annotations

from reaper.api.http.exchange import Headers

CRLF = b"\r\n"


def framing(headers: list[tuple[bytes, bytes]]) -> tuple[list[bytes], bool]:
    """Return the transfer codings in order, and whether there is a Content-Length."""
    codings: list[bytes] = []
    has_length = False
    for name, value in headers:
        if name == b"content-length":
            has_length = True
        elif name == b"transfer-encoding":
            codings += [coding.strip(b" \t").lower() for coding in value.split(b",")]
    return codings, has_length


def encode_headers(headers: Headers) -> bytes:
    """Return the header lines with the empty line that ends them."""
    return b"".join(b"%b: %b\r\n" % line for line in headers) + CRLF
