"""Which paths the console has under the settings of now. What answers them is imported when one is asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reaper.core.blocking import RunBlocking
from reaper.queues.base import Queue
from reaper.settings.schema import Settings
from reaper.settings.sections import TelemetrySettings
from reaper.telemetry.http.request import Request
from reaper.telemetry.http.response import Page
from reaper.telemetry.http.router import Route, Routes
from reaper.telemetry.page.view import May, Whose

if TYPE_CHECKING:
    from reaper.app.console.acts import Acts
    from reaper.telemetry.page.console import Console

WITH_IDS = ("/ids", "/dead", "/holds", "/ghosts", "/session", "/search")
"""Pages that show session IDs: they exist under `telemetry.page_ids` alone."""

ACT = "/act"
"""The page of the acts that need no list. It exists, as the acts do, under `telemetry.admin_token_file` alone."""
ACTS = ("retry", "purge", "cancel", "postpone", "approve", "discard", "pause", "resume")


def check_admin_file(settings: Settings, run_blocking: RunBlocking) -> None:
    """Raise ConfigError when a file of those who may act is named and cannot be used, or does not answer in time."""
    if (file := settings.telemetry.admin_token_file) is not None:
        from reaper.app.console.tokens import read_within

        read_within(run_blocking, file)


class ConsoleRoutes:
    """The console of one daemon, beside the pages that are always there."""

    def __init__(self, queue: Queue, settings: Callable[[], TelemetrySettings], whose: Callable[[], Whose]) -> None:
        self._queue, self._settings, self._whose = queue, settings, whose
        self._console: Console | None = None
        self._acts: Acts | None = None

    def beside(self, pages: Routes) -> Routes:
        """Return the pages with those of the console that the settings allow now."""
        settings = self._settings()
        found = dict(pages)
        if settings.page_ids:
            found |= dict.fromkeys(WITH_IDS, Route(self._page, guarded=True))
        if settings.admin_token_file is not None:
            found |= {ACT: Route(self._page, guarded=True)}
            found |= dict.fromkeys((f"/acts/{name}" for name in ACTS), Route(self._act, method="POST"))
        return found

    def navigation(self) -> str:
        """Return the links of the overview to the other pages, as HTML; "" where there are none."""
        settings = self._settings()
        if not settings.page_ids and settings.admin_token_file is None:
            return ""
        return self._opened().navigation("").markup

    def _opened(self) -> Console:
        if self._console is None:
            from reaper.telemetry.page.console import Console

            def may() -> May:
                settings = self._settings()
                return May(settings.page_ids, settings.admin_token_file is not None)

            self._console = Console(self._queue, self._whose, may)
        return self._console

    async def _page(self, request: Request) -> Page:
        return await self._opened().page(request)

    async def _act(self, request: Request) -> Page:
        file = self._settings().admin_token_file
        assert file is not None, "without it there is no such path"
        if self._acts is None:
            from reaper.app.console.acts import Acts

            self._acts = Acts(self._queue, self._opened().forget)
        return await self._acts.answer(request, file)
