"""Renders the overview: one file, filled in with texts; its script updates them from `/page.json`.

Every text is escaped here, and the script only sets texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from html import escape

from reaper.telemetry.http.response import Page, as_json
from reaper.telemetry.page.charts import SLOTS, Chart
from reaper.telemetry.page.document import asset, html_document
from reaper.telemetry.page.view import Notice, View

_FIELD = re.compile(r"\{\{([\w-]+)\}\}")


@cache
def template() -> str:
    """Return the file as it is shipped, with its style and its scripts in it."""
    script = f"\n{asset('common.js')}{asset('overview.js')}"
    return asset("page.html").replace("{{style}}", f"\n{asset('style.css')}").replace("{{script}}", script)


@cache
def edition() -> str:
    """Return a hash of the file: the script asks for the page anew when a new version answers."""
    return sha256(template().encode()).hexdigest()[:16]


def html_page(view: View, nav: str = "") -> Page:
    """Return the page with the view filled in; `nav` is HTML of ours."""
    texts = {"title": view.title, "kind": view.kind, "page": edition(), **view.texts}
    parts = {name: escape(text) for name, text in texts.items()} | {
        "nav": nav,
        "notices": "".join(map(_notice, view.notices)),
        "outcomes": _rows(view.outcomes),
        "reapers": _rows(view.reapers),
        **{f"{name}-plot": _plot(chart) for name, chart in view.charts.items()},
        **{f"{name}-top": escape(chart.top) for name, chart in view.charts.items()},
        **{f"{name}-keys": _keys(chart) for name, chart in view.charts.items()},
    }
    # In one pass, so that no field inside of a text is filled in.
    return html_document(_FIELD.sub(lambda field: parts[field[1]], template()), template())


def json_page(view: View) -> Page:
    """Return the view as the page's script reads it."""
    return as_json({"page": edition(), **asdict(view)})


def _notice(notice: Notice) -> str:
    lines = (("strong", "", notice.title), ("span", "", notice.detail), ("span", ' class="todo"', notice.todo))
    inner = "".join(
        f"<{tag}{attributes}{'' if words else ' hidden'}>{escape(words)}</{tag}>" for tag, attributes, words in lines
    )
    command = f"<code>{escape(notice.command)}</code>"
    copy = '<button type="button" class="copy" aria-label="Copy the command" data-script hidden>Copy</button>'
    shown = "" if notice.command else " hidden"
    return f'<li data-kind="{escape(notice.kind)}">{inner}<p class="command"{shown}>{command}{copy}</p></li>'


def _plot(chart: Chart) -> str:
    bars = "".join(
        f'<rect class="k-{bar.kind}" x="{bar.x + 0.05:g}" width="0.9" y="{bar.y:g}" height="{bar.height:g}"/>'
        for bar in chart.bars
    )
    head = f'<svg viewBox="0 0 {SLOTS} 1" preserveAspectRatio="none" role="img" aria-label="{escape(chart.words)}">'
    return f"{head}{bars}</svg>"


def _keys(chart: Chart) -> str:
    return "".join(f'<li class="k-{kind}">{escape(words)}</li>' for kind, words in chart.keys)


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in more)}</tr>'
        for first, *more in rows
    )
