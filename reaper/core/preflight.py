"""What follows from a preflight check, the reading of a session just before its DELETE (docs/discovery.md). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from reaper.core.classify import Verdict
from reaper.core.model import Outcome, Release, Reply, Settle

RENEWED = "renewed"
"""The detail of the outcome `protected` of a session that no longer qualifies."""


@dataclass(frozen=True, slots=True)
class Proceed:
    """Send the DELETE: the session still qualifies, or seems gone, which the answer to the DELETE has to prove."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Send nothing, and settle as `protected` with this detail."""

    detail: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """The reading failed and says nothing about the session: send nothing. It counts as a DELETE with this verdict."""

    verdict: Verdict
    reply: Reply = field(compare=False)


Recheck = Proceed | Skip | Inconclusive


def decision_without_send(found: Skip | Proceed | None) -> Settle | Release:
    """Return what the queue does with a lease under which nothing is sent, and of which nothing is recorded.

    Args:
        found: the result of the check; None when there was no time to make it.
    """
    return Settle(Outcome.PROTECTED, found.detail) if isinstance(found, Skip) else Release(0.0)
