"""Answers of the sandbox: as values, and encoded for the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, without the headers that differ per request."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def envelope(status: int, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an error answer in the form of the API."""
    word = reason(status).lower().replace(" ", "_")
    return as_json({"error": word, "code": word.upper(), "message": message}, status=status, headers=headers)


def as_json(value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer of JSON."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode(), headers=headers)


def page(status: int, text: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an HTML answer, as from a proxy or a static host."""
    html = f"<!doctype html><html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>\n"
    return Answer(status, html.encode(), "text/html; charset=utf-8", headers)


def reason(status: int) -> str:
    """Return the reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def encode(answer: Answer, *, date: str | None, request_id: str, close: bool = False, endless: bool = False) -> bytes:
    """Return the bytes of an answer. 204 and 304 have neither body nor length (RFC 9110, 8.6).

    `endless`: send no length, because the body goes on until the connection ends.
    """
    lines = [f"HTTP/1.1 {answer.status} {reason(answer.status)}"]
    if date is not None:
        lines.append(f"date: {date}")
    lines.append(f"x-request-id: {request_id}")
    lines.extend(f"{name}: {value}" for name, value in answer.headers)
    if close:
        lines.append("connection: close")
    if answer.status in (204, 304):
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if answer.body:
        lines.append(f"content-type: {answer.content_type}")
    if not endless:
        lines.append(f"content-length: {len(answer.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + answer.body
