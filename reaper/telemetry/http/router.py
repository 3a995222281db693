"""Chooses what answers a request to the health listener: pages by GET, acts by POST. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from reaper.telemetry.http.request import Request, is_ours, is_same_origin
from reaper.telemetry.http.response import Page, text

ACT_S = 60.0
"""Time limit of an act, from the moment at which its request is there."""
_MISDIRECTED = (
    "this page is shown under an address, under localhost, or under the name in telemetry.listen, so that no other "
    "site can read it through a browser"
)


@dataclass(frozen=True, slots=True)
class Route:
    """What answers at one path. A guarded one requires a Host header that names this listener; acts always do."""

    answer: Callable[[Request], Awaitable[Page]]
    guarded: bool = False
    method: Literal["GET", "POST"] = "GET"


Routes = Mapping[str, Route]
"""By path."""


def chosen(request: Request, routes: Routes, listen_host: str) -> Route | Page:
    """Return the route of a request, or the page that refuses it."""
    route = routes.get(request.path)
    if request.method in ("GET", "HEAD"):
        if route is None:
            pages = " ".join(path for path, one in routes.items() if one.method == "GET")
            return text(404, f"there is nothing here; try {pages}")
        if route.method == "GET":
            return text(421, _MISDIRECTED) if route.guarded and not is_ours(request.host, listen_host) else route
        return text(405, "an act is a POST", ("Allow", "POST"))
    if request.method != "POST" or route is None or route.method != "POST":
        return text(405, "only GET is answered here", ("Allow", "GET, HEAD"))
    if not is_ours(request.host, listen_host):
        return text(421, _MISDIRECTED)
    if not is_same_origin(request):
        return text(403, "a page of another origin sent this; acts are for this page and for programs")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return text(415, "an act is JSON; send Content-Type: application/json")
    return route
