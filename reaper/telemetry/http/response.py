"""Makes and encodes the responses of the health listener."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
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


Handler = Callable[[], Awaitable[Page]]


def text(status: int, words: str, *headers: tuple[str, str]) -> Page:
    """Return a page of plain text."""
    return Page(status, "text/plain; charset=utf-8", words.encode() + b"\n", headers)


def as_json(value: object) -> Page:
    """Return a page of JSON."""
    return Page(200, "application/json", json.dumps(value).encode() + b"\n")


def encode(page: Page, *, body: bool = True) -> bytes:
    """Return the bytes of a response; `body` false, for HEAD: all that a GET would have but the body."""
    own = (("Content-Type", page.content_type), ("Content-Length", str(len(page.body))))
    lines = [f"HTTP/1.1 {page.status} {_REASONS[page.status]}"]
    lines += [f"{name}: {value}" for name, value in (*own, *_COMMON_HEADERS, *page.headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (page.body if body else b"")
