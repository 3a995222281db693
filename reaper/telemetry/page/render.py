"""Renders the page of the health listener: one file, filled in with texts; its script updates them from `/page.json`.

Every text is escaped here, and the script only sets texts. If either failed, the browser would still run and load only
the contents of the file: the policy names the style and the script by their hashes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from reaper.telemetry.http.response import Page, as_json
from reaper.telemetry.page.view import Notice, View

_FIELD = re.compile(r"\{\{([\w-]+)\}\}")


@cache
def template() -> str:
    """Return the file as it is shipped."""
    return files("reaper.telemetry.page").joinpath("page.html").read_text("utf-8")


@cache
def edition() -> str:
    """Return a hash of the file: the script reloads the page when a new version sends another one."""
    return sha256(template().encode()).hexdigest()[:16]


@cache
def policy() -> str:
    """Return the Content-Security-Policy."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash('script')}",
            f"style-src {_hash('style')}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(element: str) -> str:
    [content] = re.findall(rf"<{element}>(.*?)</{element}>", template(), re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def html_page(view: View) -> Page:
    """Return the page with the view filled in."""
    texts = {"title": view.title, "kind": view.kind, "page": edition(), **view.texts}
    parts = {name: escape(text) for name, text in texts.items()} | {
        "notices": "".join(map(_notice, view.notices)),
        "outcomes": _rows(view.outcomes),
        "reapers": _rows(view.reapers),
    }
    # In one pass, so that no field inside of a text is filled in.
    html = _FIELD.sub(lambda field: parts[field[1]], template())
    headers = (
        ("Content-Security-Policy", policy()),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
    )
    return Page(200, "text/html; charset=utf-8", html.encode(), headers)


def json_page(view: View) -> Page:
    """Return the view as the page's script reads it."""
    return as_json({"page": edition(), **asdict(view)})


def _notice(notice: Notice) -> str:
    lines = (("strong", "", notice.title), ("span", "", notice.detail), ("span", ' class="todo"', notice.todo))
    inner = "".join(
        f"<{tag}{attributes}{'' if words else ' hidden'}>{escape(words)}</{tag}>" for tag, attributes, words in lines
    )
    return f'<li data-kind="{escape(notice.kind)}">{inner}</li>'


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in more)}</tr>'
        for first, *more in rows
    )
