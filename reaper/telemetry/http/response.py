"""Makes and encodes the responses of the health listener."""

from __future__ import annotations

import json
from dataclasses import dataclass

from reaper.core.text import escaped

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_COMMON_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Connection", "close"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """One response: status, content type, body, and headers beside those of every response."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def text(status: int, words: str, *headers: tuple[str, str]) -> Page:
    """Return a page of plain text, which a terminal may show."""
    return Page(status, "text/plain; charset=utf-8", escaped(words, keep="\n").encode() + b"\n", headers)


def as_json(value: object, status: int = 200, *headers: tuple[str, str]) -> Page:
    """Return a page of JSON."""
    return Page(status, "application/json", json.dumps(value).encode() + b"\n", headers)


def encode(page: Page, *, body: bool = True) -> bytes:
    """Return the bytes of a response; `body` false, for HEAD: all that a GET would have but the body."""
    own = (("Content-Type", page.content_type), ("Content-Length", str(len(page.body))))
    lines = [f"HTTP/1.1 {page.status} {_REASONS[page.status]}"]
    lines += [f"{name}: {value}" for name, value in (*own, *_COMMON_HEADERS, *page.headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (page.body if body else b"")
