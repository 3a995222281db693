"""Identity first: before a DELETE the API shows that it is the API, accepts the token, and has the right account.

The account is pinned in the queue at its first proof. A backlog must never turn green because the token belongs to
somebody else: to another account each of its sessions is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reaper.core.account import KEY, Account, AccountUnknown, account_of, compare, read_account
from reaper.core.classify import Proven, ReadVerdict, classify_read
from reaper.core.model import Reply
from reaper.queues.base import ValuePort
from reaper.worker.ports import AccountJournal, Api


@dataclass(slots=True)
class Identity:
    """Makes the identity reads of one process. Raises QueueError as the queue does."""

    api: Callable[[], Api]
    queue: ValuePort
    journal: AccountJournal
    may_pin: bool = True
    """Whether to pin the account where none is pinned; the queue has to be open for writing."""
    _reported: str | None = None
    """Why the account was unknown when that was last logged."""

    async def read(self) -> tuple[Reply, ReadVerdict]:
        """Read the list, ask whose token it is, and compare that with the queue's account.

        Returns the reply with the list, and what it proves.
        """
        reply = await self.api().list_sessions()
        verdict = classify_read(reply)
        if isinstance(verdict, Proven):
            found = account_of(await self.api().whoami())
            verdict = await self._compare(verdict, found) if isinstance(found, Account | AccountUnknown) else found
        return reply, verdict

    async def verdict(self) -> ReadVerdict:
        """Make the read; return what it proves."""
        return (await self.read())[1]

    async def _compare(self, proven: Proven, found: Account | AccountUnknown) -> ReadVerdict:
        pinned = read_account(await self.queue.read_value(KEY))
        if pinned is None and isinstance(found, Account) and self.may_pin:
            if await self.queue.compare_and_set(KEY, found.to_text(), was=None):
                self.journal.account_pinned(found.shown)
                return proven
            pinned = read_account(await self.queue.read_value(KEY))  # another reaper was quicker
        if pinned is None and isinstance(found, AccountUnknown) and found.reason != self._reported:
            self._reported = found.reason
            self.journal.account_unknown(found.reason)
        return compare(proven, found, pinned)
