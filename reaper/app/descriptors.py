"""The limit of open files of this process: raised where it may be, and respected where it may not.

With too few descriptors for `worker.concurrency` each send beyond them would fail unsent, and count for the breaker as
an outage of the API. So fewer are in flight: what there is is used, and the work goes on.
"""

from __future__ import annotations

import resource

RESERVED = 64
"""Descriptors of a daemon beside its connections: 32 of the health listener, the ledger, inputs, lookups."""

UNLIMITED = 1 << 30


def raise_limit(concurrency: int) -> None:
    """Raise the soft limit as far as `concurrency` needs and the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(_count(hard), concurrency + RESERVED)
    if _count(soft) < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def usable_concurrency(concurrency: int) -> int:
    """Return how many connections the limit has room for, at least 1, at most `concurrency`."""
    return max(1, min(concurrency, _count(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) - RESERVED))


def shortage(concurrency: int) -> str | None:
    """Return a sentence if the limit does not suffice, even when it is raised; else None."""
    hard = _count(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    if hard >= concurrency + RESERVED:
        return None
    return (
        f"at most {hard} files may be open (the hard limit), and worker.concurrency {concurrency} needs "
        f"{concurrency + RESERVED}: at most {max(1, hard - RESERVED)} DELETEs are in flight; raise the limit "
        "(ulimit -Hn, LimitNOFILE=, docker --ulimit) or lower worker.concurrency"
    )


def _count(limit: int) -> int:
    return UNLIMITED if limit == resource.RLIM_INFINITY else limit
