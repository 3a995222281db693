"""What follows from a preflight check, the reading of a session just before its DELETE (docs/discovery.md). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from reaper.core.classify import Final, Verdict
from reaper.core.model import Outcome, Release, Settle

INCONCLUSIVE_S = 30.0
"""Mean wait of an ID whose check was inconclusive: uniform between half of it and one and a half times it."""
REFUSED_DETAIL = "the API refused to show it, so nothing was sent"
"""The detail of an ID that settles with such a refusal."""
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
    """The reading says nothing about the session: send nothing, and wait as after a DELETE with this verdict."""

    verdict: Verdict


Recheck = Proceed | Skip | Inconclusive


def decision_without_send(found: Recheck | None, jitter: float, *, withheld: bool = False) -> Settle | Release:
    """Return what the queue does with a lease under which nothing is sent.

    Nothing was sent, so nothing is charged. A session that the API refuses to show settles with that refusal:
    released, it would come back for ever, and nobody would be informed.

    Args:
        found: the result of the check; None when there was no time to make it.
        jitter: uniform in [0, 1).
        withheld: a pause holds because of such refusals, so this one settles nothing.
    """
    match found:
        case Skip(detail=detail):
            return Settle(Outcome.PROTECTED, detail)
        case Inconclusive(verdict=Final(outcome=outcome, detail=detail)) if not withheld:
            return Settle(outcome, f"{REFUSED_DETAIL}: {detail}" if detail else REFUSED_DETAIL)
        case Inconclusive():
            return Release(INCONCLUSIVE_S * (0.5 + jitter))
        case Proceed() | None:
            return Release(0.0)
        case _ as never:
            assert_never(never)
