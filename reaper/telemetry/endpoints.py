"""Defines the pages of the health listener: `/livez`, `/readyz`, `/metrics`, `/status`, `/` and `/page.json`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from reaper.core import account
from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.input_facts import InputFacts
from reaper.core.model import PauseReason, Stats
from reaper.core.text import sanitize
from reaper.telemetry.http.request import Request
from reaper.telemetry.http.response import Page, as_json, text
from reaper.telemetry.http.router import Route
from reaper.telemetry.logs import dropped
from reaper.telemetry.metrics import CONTENT_TYPE, Metrics
from reaper.telemetry.page.render import html_page, json_page, template
from reaper.telemetry.page.snapshot import STALLED_S, QueueView, SnapshotCollector, WorkerView
from reaper.telemetry.page.view import View, Whose, view_of

OWNER_HEADER = "X-Reaper-Owner"
"""Of `/livez`: the name under which this process claims in its queue, by which `reaper check` knows it."""
NOT_READY = (PauseReason.CREDENTIALS, PauseReason.WRONG_TARGET)
FOR_PEOPLE = frozenset({"/", "/page.json", "/status"})
"""Pages for browsers, guarded by their Host header. Probes and scrapers may request the others under any name."""


def health_pages(  # noqa: C901  # each page is a function of its own in here
    worker: WorkerView,
    queue: QueueView,
    metrics: Metrics,
    whose: Callable[[], Whose],
    navigation: Callable[[], str] = str,
    inputs: Callable[[], InputFacts] = InputFacts,
) -> dict[str, Route]:
    """Return the pages by path.

    `navigation` returns the links of the overview to pages of others, as HTML; `inputs` the state of the inputs.
    """
    collector = SnapshotCollector(worker, queue, metrics.settle_rate, whose, inputs)
    template()  # cached now: an upgrade may replace the file while the daemon runs

    async def livez(_: Request) -> Page:
        stalled_s = worker.stalled_s
        if stalled_s > STALLED_S:
            return text(503, f"the claim loop has not turned for {stalled_s:.0f} s")
        return text(200, "ok", (OWNER_HEADER, queue.owner))

    async def readyz(request: Request) -> Page:
        """Answer a probe. Under a foreign name, which a web site may have led here, it gets no details."""
        if worker.is_draining:
            return text(503, "draining")
        for pause in worker.pauses():
            if pause.reason in NOT_READY:
                return text(503, f"paused ({pause.reason.value})" + ("" if request.foreign else f": {pause.detail}"))
        try:
            await _stats()
        except QueueError as error:
            return text(503, "queue unavailable" if request.foreign else str(error))
        return text(200, "ok")

    async def render(_: Request) -> Page:
        stats, workers = None, 0
        with suppress(QueueError):
            stats, workers = await _stats(), len(await queue.live_workers())
            pinned = account.read_account(await queue.read_value(account.KEY))
            known = whose()
            metrics.whose(known.api, sanitize(pinned.user_id) if pinned else "", known.queue)
        metrics.queue(stats, workers)
        metrics.work(in_flight=worker.gate.in_flight, limit=worker.gate.limit, pauses=worker.pauses())
        metrics.log_dropped(dropped())
        return Page(200, CONTENT_TYPE, metrics.render())

    async def status(_: Request) -> Page:
        found = await collector.overview()
        if isinstance(found, str):
            return text(503, f"queue unavailable: {found}")
        told = inputs()
        mine = {**told.as_json(), "config_refused": told.config_refused}
        return as_json({**found.as_json(whose().queue, with_ids=False), **mine})

    async def html(_: Request) -> Page:
        return html_page(await view(), navigation())

    async def for_html(_: Request) -> Page:
        return json_page(await view())

    async def view() -> View:
        snapshot = await collector.collect()
        return view_of(snapshot, datetime.fromtimestamp(snapshot.at, UTC).strftime("%Y-%m-%d %H:%M:%SZ"))

    async def _stats() -> Stats:
        # Probes wait a second or so, so they do not query a queue that is known to be unavailable.
        if worker.queue_health.unavailable_s:
            raise QueueUnavailableError(
                f"queue unavailable for {worker.queue_health.unavailable_s:.0f} s: {worker.queue_health.why}"
            )
        try:
            return await queue.stats()
        except QueueUnavailableError as error:
            worker.queue_health.mark_unavailable(error)  # the log then says why a probe failed
            raise

    handlers = {
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": render,
        "/status": status,
        "/": html,
        "/page.json": for_html,
    }
    return {path: Route(handler, path in FOR_PEOPLE) for path, handler in handlers.items()}
