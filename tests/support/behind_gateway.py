"""Workers in virtual time behind a gateway, one run after the other."""

from __future__ import annotations

from tests.support.gateway import Gateway
from tests.support.worker import World, world


async def behind(gateway: Gateway, n: int, **more: object) -> World:
    return await world(n, gateway.stop, lists=gateway.lists, **more)  # type: ignore[arg-type]


def names(n: int) -> set[str]:
    return {f"s{i}" for i in range(n)}


async def rerun(w: World, n: int) -> World:
    """Return the next run over the same ledger and API, with `n` sessions in its input."""
    w.queue.store.mark_dead(w.queue.owner)
    return await world(n, w.api.answer, lists=w.api.lists, store=w.queue.store, latency_s=0.1)
