"""Defines the pages of the health listener: `/livez`, `/readyz`, `/metrics`, `/status`, `/` and `/page.json`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import PauseReason, Stats
from reaper.core.status import status_json
from reaper.telemetry.http.response import Handler, Page, as_json, text
from reaper.telemetry.metrics import CONTENT_TYPE, Metrics
from reaper.telemetry.page.render import html_page, json_page, template
from reaper.telemetry.page.snapshot import STALLED_S, QueueView, SnapshotCollector, WorkerView
from reaper.telemetry.page.view import View, view_of

NOT_READY = (PauseReason.CREDENTIALS, PauseReason.WRONG_TARGET)
FOR_PEOPLE = frozenset({"/", "/page.json", "/status"})
"""Pages for browsers, guarded by their Host header. Probes and scrapers may request the others under any name."""


def health_pages(  # noqa: C901  # each page is a function of its own in here
    worker: WorkerView, queue: QueueView, metrics: Metrics, open_items: Callable[[], Awaitable[Mapping[str, int]]]
) -> dict[str, Handler]:
    """Return the pages by path. `open_items` counts the open `holds` and `ghosts`."""
    collector = SnapshotCollector(worker, queue, metrics.settle_rate, open_items)
    template()  # cached now: an upgrade may replace the file while the daemon runs

    async def livez() -> Page:
        stalled_s = worker.stalled_s
        if stalled_s > STALLED_S and not worker.is_draining:
            return text(503, f"the claim loop has not turned for {stalled_s:.0f} s")
        return text(200, "ok")

    async def readyz() -> Page:
        if worker.is_draining:
            return text(503, "draining")
        for pause in worker.pauses():
            if pause.reason in NOT_READY:
                return text(503, f"paused ({pause.reason.value}): {pause.detail}")
        return await _with_stats(lambda _: text(200, "ok"))

    async def render() -> Page:
        stats = None
        with suppress(QueueError):
            stats = await _stats()
        metrics.queue(stats)
        metrics.work(in_flight=worker.gate.in_flight, limit=worker.gate.limit, pauses=worker.pauses())
        return Page(200, CONTENT_TYPE, metrics.render())

    async def status() -> Page:
        return await _with_stats(lambda stats: as_json(status_json(stats, worker.pauses(), worker.gate.limit)))

    async def html() -> Page:
        return html_page(await view())

    async def for_html() -> Page:
        return json_page(await view())

    async def view() -> View:
        snapshot = await collector.collect()
        return view_of(snapshot, datetime.fromtimestamp(snapshot.at, UTC).strftime("%Y-%m-%d %H:%M:%SZ"))

    async def _with_stats(page: Callable[[Stats], Page]) -> Page:
        try:
            return page(await _stats())
        except QueueError as error:
            return text(503, str(error))

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

    return {
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": render,
        "/status": status,
        "/": html,
        "/page.json": for_html,
    }
