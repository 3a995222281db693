"""The console's pages beside the overview: their frame, their paths, and how they are read without burdening the work.

One page is read at a time, in steps of one page of rows; what was read is shown for a second to all who ask, and longer
where it took longer. Imported when the first of these pages is asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from urllib.parse import urlencode

import anyio

from reaper.core.errors import QueueError
from reaper.core.version import __version__
from reaper.core.words import clock_time
from reaper.queues.where import FIELDS
from reaper.telemetry.http.request import Request
from reaper.telemetry.http.response import Page
from reaper.telemetry.logs import redacted
from reaper.telemetry.page.act import TOKEN_FIELD, act_page
from reaper.telemetry.page.document import asset, html_document
from reaper.telemetry.page.lists import Content, dead_page, ids_page
from reaper.telemetry.page.markup import Child, Html, element, link
from reaper.telemetry.page.one import ConsoleQueue, ghosts_page, holds_page, search_page, session_page
from reaper.telemetry.page.snapshot import CACHED_PER_QUERY_S, MAX_CACHED_S, MIN_CACHED_S, QUEUE_TIMEOUT_S
from reaper.telemetry.page.view import May, Whose, clean

MAX_CACHED = 16
_FIELD = re.compile(r"\{\{([\w-]+)\}\}")
USED_FIELDS = {"/ids": (*FIELDS, "page"), "/holds": ("hold", "page"), "/session": ("id",), "/search": ("q",)}
"""The fields of a query that a page reads. All others make no other page."""
WITH_IDS = {"ids": "IDs", "dead": "Dead letters", "holds": "Holds", "ghosts": "Ghosts"}


@cache
def template() -> str:
    """Return the frame with its style and its script in it."""
    script = f"\n{asset('common.js')}{asset('acts.js')}"
    return asset("console.html").replace("{{style}}", f"\n{asset('style.css')}").replace("{{script}}", script)


class Console:
    """Answers the requests for pages with session IDs."""

    def __init__(
        self,
        queue: ConsoleQueue,
        whose: Callable[[], Whose],
        may: Callable[[], May],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue, self._whose, self._may, self._now = queue, whose, may, now
        self._lock = anyio.Lock()
        self._cached: dict[str, tuple[float, Page]] = {}

    def forget(self) -> None:
        """Read every page anew from now on."""
        self._cached.clear()

    def navigation(self, here: str) -> Html:
        """Return the links to all pages that there are, and the search."""
        may = self._may()
        names = {"./": "Overview"} | (WITH_IDS if may.show_ids else {}) | ({"act": "Act"} if may.act else {})
        links: list[Child] = [link(words, path, current=path == (here or "./")) for path, words in names.items()]
        if may.show_ids:
            label = element("label", "Search ", element("input", type="search", name="q", size="12"))
            links.append(element("form", label, element("button", "Go"), action="search", role="search"))
        return element("nav", *links, class_="tabs", aria_label="Pages")

    async def page(self, request: Request) -> Page:
        """Return a page; a sentence while the queue is unavailable."""
        path, given = request.path, request.fields
        fields = {name: given[name] for name in USED_FIELDS.get(path, ()) if name in given}
        here = path[1:] + (f"?{urlencode(fields)}" if fields else "")
        began = None
        try:
            with anyio.fail_after(QUEUE_TIMEOUT_S):
                async with self._lock:
                    until, found = self._cached.get(here, (0.0, None))
                    began = self._now()
                    if found is not None and began < until:
                        return found
                    return self._keep(here, await self._read(path, fields), began)
        except TimeoutError:
            words = f"the queue did not answer within {QUEUE_TIMEOUT_S:g} s; reaper list has no such limit"
            page = _sentence("Queue unavailable", words, 503)
            # Whoever only waited for another's page has not burdened the queue.
            return self._framed(here, page) if began is None else self._keep(here, page, began)
        except QueueError as error:
            return self._framed(here, _sentence("Queue unavailable", str(error), 503))

    async def _read(self, path: str, fields: Mapping[str, str]) -> Content:
        try:
            return await self._content(path, fields)
        except ValueError as error:
            return _sentence("There is no such page", str(error), 404)

    def _keep(self, here: str, content: Content, began: float) -> Page:
        """Return the page of what was read since `began`, and show it for a while to all who ask."""
        page, ended = self._framed(here, content), self._now()
        self._cached.pop(here, None)
        while len(self._cached) >= MAX_CACHED:
            del self._cached[next(iter(self._cached))]
        kept_s = min(max(MIN_CACHED_S, CACHED_PER_QUERY_S * (ended - began)), MAX_CACHED_S)
        self._cached[here] = (ended + kept_s, page)
        return page

    async def _content(self, path: str, fields: Mapping[str, str]) -> Content:
        queue, whose, may = self._queue, self._whose(), self._may()
        match path:
            case "/ids":
                return await ids_page(queue, fields, may_act=may.act)
            case "/dead":
                return await dead_page(queue)
            case "/holds":
                return await holds_page(queue, fields, whose, may_act=may.act)
            case "/ghosts":
                return await ghosts_page(queue)
            case "/act":
                return await act_page(queue, may)
            case "/session":
                return await session_page(queue, fields, whose, may_act=may.act)
            case _:
                found = await search_page(queue, fields, whose, may_act=may.act)
                return found if isinstance(found, Content) else await ids_page(queue, found, may_act=may.act)

    def _framed(self, here: str, content: Content) -> Page:
        whose = self._whose()
        name = " · ".join(filter(None, ("reaper", whose.instance or whose.api.partition("://")[2])))
        heading = clean(redacted(content.heading))
        parts = {
            "title": escape(f"{heading} · {name}"),
            "whose": escape(clean(name)),
            "heading": escape(heading),
            "nav": self.navigation(here.partition("?")[0]).markup,
            "token": TOKEN_FIELD.markup if self._may().act else "",
            "body": content.body.markup,
            "at": clock_time(self._queue.now()),
            "here": escape(here),
            "version": escape(__version__),
        }
        return html_document(_FIELD.sub(lambda field: parts[field[1]], template()), template(), content.status)


def _sentence(heading: str, words: str, status: int) -> Content:
    return Content(heading, element("p", words, class_="card"), status)
