"""Cross-field validation of the settings: errors and warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reaper.core.urls import is_plain_remote

if TYPE_CHECKING:
    from reaper.settings.sections import ApiSettings, NotifySettings, QueueSettings, RetrySettings, WorkerSettings

CONTRADICTION = "contradiction"
"""The type of the validation error that carries the result of `contradictions`."""

LEASE_MARGIN_S = 1.0
"""A lease must outlast one send by this margin: a send may begin up to a second after its claim."""

LEASE_COMFORT_S = 10.0
"""With less than this between the end of a send and the end of its lease, a slow ledger can cost a second DELETE."""


def contradictions(
    api: ApiSettings, worker: WorkerSettings, retry: RetrySettings, queue: QueueSettings, notify: NotifySettings
) -> list[tuple[str, str, str]]:
    """Return the pairs of settings that contradict each other: the wrong key, the other key, and the requirement."""
    rules = (
        (
            is_plain_remote(api.base_url) and not api.allow_http,
            "api.base_url",
            "api.allow_http",
            "must be https: the token would travel in the clear; for a trusted network set api.allow_http=true",
        ),
        (
            api.connect_timeout_s > api.timeout_s,
            "api.connect_timeout_s",
            "api.timeout_s",
            f"must be at most api.timeout_s: {api.connect_timeout_s:g} is more than {api.timeout_s:g}",
        ),
        (
            worker.drain_timeout_s <= api.timeout_s,
            "worker.drain_timeout_s",
            "api.timeout_s",
            f"must be more than api.timeout_s: {worker.drain_timeout_s:g} is not more than {api.timeout_s:g}",
        ),
        (
            queue.lease_s < api.timeout_s + LEASE_MARGIN_S,
            "queue.lease_s",
            "api.timeout_s",
            f"must be at least api.timeout_s + {LEASE_MARGIN_S:g}: {queue.lease_s:g} is less than "
            f"{api.timeout_s + LEASE_MARGIN_S:g}",
        ),
        (
            retry.cap_s < retry.base_s,
            "retry.cap_s",
            "retry.base_s",
            f"must be at least retry.base_s: {retry.cap_s:g} is less than {retry.base_s:g}",
        ),
        (
            api.proxy is not None and api.http == "2" and not api.base_url.lower().startswith("https:"),
            "api.http",
            "api.proxy",
            "must be auto or 1.1 when api.proxy is set and api.base_url is http: only a tunnel can carry HTTP/2",
        ),
        (
            notify.heartbeat_url is not None and is_plain_remote(notify.heartbeat_url) and not api.allow_http,
            "notify.heartbeat_url",
            "api.allow_http",
            "must be https: whoever sees it can ping in reaper's place; for a trusted network set api.allow_http=true",
        ),
    )
    return [(key, other, text) for broken, key, other, text in rules if broken]


def warnings(api: ApiSettings, queue: QueueSettings, *, explicit_token: bool) -> Iterator[str]:
    """Yield a sentence for each combination that is allowed but unwise.

    `explicit_token`: api.token was set itself, not inherited from the variable that all tools of the API share.
    """
    lease_s, timeout_s = queue.lease_s, api.timeout_s
    if lease_s < timeout_s + LEASE_COMFORT_S:
        yield (
            f"queue.lease_s ({lease_s:g}) leaves less than {LEASE_COMFORT_S:g} s after api.timeout_s ({timeout_s:g}): "
            "a ledger that is slow for a moment can cost a second DELETE"
        )
    if explicit_token and api.token_file is not None:
        yield "api.token is set and not used: api.token_file wins"
