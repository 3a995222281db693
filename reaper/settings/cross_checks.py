"""What must hold between two settings, and what had better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reaper.core.urls import is_plain_remote

if TYPE_CHECKING:
    from reaper.settings.schema import Settings

CONTRADICTION = "contradiction"
"""The type of the validation error that carries what `contradictions` found."""

LEASE_MARGIN_S = 1.0
"""A lease shorter than a send and this margin would end under the worker's hands."""

LEASE_COMFORT_S = 10.0
"""With less than this between the end of a send and the end of its lease, a slow ledger can cost a second DELETE."""


def contradictions(settings: Settings) -> list[tuple[str, str, str]]:
    """Return what does not hold between two settings: the key at fault, the other one, and what must be."""
    api, worker, retry, queue = settings.api, settings.worker, settings.retry, settings.queue
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
            api.proxy is not None and api.http == "2",
            "api.http",
            "api.proxy",
            "must be auto or 1.1 when api.proxy is set: HTTP/2 is not spoken through a proxy",
        ),
    )
    return [(key, other, text) for broken, key, other, text in rules if broken]


def warnings(settings: Settings, *, explicit_token: bool) -> Iterator[str]:
    """Yield what is allowed but unwise. `explicit_token`: api.token was set, not inherited from a common variable."""
    lease_s, timeout_s = settings.queue.lease_s, settings.api.timeout_s
    if lease_s < timeout_s + LEASE_COMFORT_S:
        yield (
            f"queue.lease_s ({lease_s:g}) leaves less than {LEASE_COMFORT_S:g} s after api.timeout_s ({timeout_s:g}): "
            "a ledger that is slow for a moment can cost a second DELETE"
        )
    if explicit_token and settings.api.token_file is not None:
        yield "api.token is set and not used: api.token_file wins"
