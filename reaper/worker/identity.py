"""Identity first: before a DELETE the API shows that it is the API, takes the token, and that it is the right account.

The account is pinned in the queue when it is first told. A backlog must never turn green because the token is somebody
else's: to another account each of its sessions is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reaper.core.account import NOTE, Account, AccountUnknown, account_of, compare, read_account
from reaper.core.classify import Proven, ReadVerdict, classify_read
from reaper.core.model import Reply
from reaper.queues.base import Queue
from reaper.worker.ports import AccountJournal, Api


@dataclass(frozen=True, slots=True)
class IdentityRead:
    """One read of the list: the reply, and what it proves."""

    reply: Reply
    verdict: ReadVerdict


@dataclass(slots=True)
class Identity:
    """Makes the reads of one process. Raises QueueError as the queue does."""

    api: Callable[[], Api]
    queue: Queue
    journal: AccountJournal
    pin: bool = True
    """Whether an account that is told is written down where there is none; the queue has to be open to write."""
    _told: str | None = None

    async def read(self) -> IdentityRead:
        """Read the list, ask whose token it is, and hold that against the queue's account."""
        reply = await self.api().list_sessions()
        verdict = classify_read(reply)
        if isinstance(verdict, Proven):
            found = account_of(await self.api().whoami())
            verdict = await self._held_against(verdict, found) if isinstance(found, Account | AccountUnknown) else found
        return IdentityRead(reply, verdict)

    async def verdict(self) -> ReadVerdict:
        """Make the read; return what it proves."""
        return (await self.read()).verdict

    async def _held_against(self, proven: Proven, found: Account | AccountUnknown) -> ReadVerdict:
        pinned = read_account(await self.queue.read_value(NOTE))
        if pinned is None and isinstance(found, Account) and self.pin:
            if await self.queue.compare_and_set(NOTE, found.to_text(), was=None):
                self.journal.account_pinned(found.shown)
                return proven
            pinned = read_account(await self.queue.read_value(NOTE))  # another reaper was quicker
        if pinned is None and isinstance(found, AccountUnknown) and found.reason != self._told:
            self._told = found.reason
            self.journal.account_untold(found.reason)
        return compare(proven, found, pinned)
