"""The address and the account that the queue keeps: compared before anything is sent, accepted on demand."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.app.check.line import Hindrance, Line
from reaper.core import account, target
from reaper.core.account import Account, AccountUnknown
from reaper.core.model import PauseReason
from reaper.core.target import ACCEPT, address_of, compare_address
from reaper.core.text import sanitize
from reaper.queues.base import ValuePort
from reaper.settings.schema import Settings

HELD = Hindrance(pause=PauseReason.WRONG_TARGET)
"""`run` sends nothing to an address that is not the queue's."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """The address and the account that the queue keeps; None: it keeps none."""

    address: str | None = None
    account: Account | None = None
    has_queue: bool = True
    """Whether there is a queue at all."""

    def not_yet(self, *, kept: bool) -> str:
        """Return what to add to a line about something that the queue does not keep."""
        return "" if kept else "; none is pinned yet" if self.has_queue else "; pinned at the first run"


async def read_pinned(queue: ValuePort, *, has_queue: bool) -> Pinned:
    """Read what the queue keeps. Raises QueueError."""
    text = await queue.read_value(account.KEY)
    return Pinned(await queue.read_value(target.KEY), account.read_account(text), has_queue)


def target_line(settings: Settings, pinned: Pinned) -> Line:
    """Compare the configured address with the queue's. Where they differ, nothing may be sent there."""
    address = address_of(settings.api.base_url)
    if other := compare_address(address, pinned.address):
        return Line("target", other.detail, HELD)
    return Line("target", f"{address}{pinned.not_yet(kept=pinned.address is not None)}")


def refusal(settings: Settings, whose: Account | AccountUnknown | None, *, unseen: bool) -> Line | None:
    """Return why the address is not accepted: without `unseen`, one that did not show that it is the API is not."""
    if whose is not None or unseen:
        return None
    why = "it has not shown that it is the API" if settings.api.verify else "api.verify is false"
    address = address_of(settings.api.base_url)
    return Line("target", f"{address} is not accepted, because {why}; to accept it unseen: {ACCEPT} --yes", HELD)


async def accept(queue: ValuePort, settings: Settings, whose: Account | AccountUnknown | None) -> list[Line]:
    """Pin the address, and the account that answered there; None: that stays. Raises QueueError."""
    address = address_of(settings.api.base_url)
    before = await queue.read_value(target.KEY)
    accepted = await queue.compare_and_set(target.KEY, address, was=before)
    instead = f", instead of {sanitize(before)}" if before not in (None, address) else ""
    lines = [Line("target", f"accepted: {address}{instead}") if accepted else _raced("target")]
    if accepted and whose is not None:
        lines.append(await _accept_account(queue, whose))
    return lines


async def _accept_account(queue: ValuePort, whose: Account | AccountUnknown) -> Line:
    before = await queue.read_value(account.KEY)
    new, shown = (whose.to_text(), whose.shown) if isinstance(whose, Account) else (None, whose.reason)
    if not await queue.compare_and_set(account.KEY, new, was=before):
        return _raced("account")
    return Line("account", f"accepted: {shown}")


def _raced(subject: str) -> Line:
    return Line(subject, "another process changed it just now: try again", HELD)
