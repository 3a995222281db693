"""Identity first: before a DELETE the API shows that it is the API, at the right address and for the right account.

Address and account are pinned in the queue at their first proof. The address is compared before anything is sent to it,
because the token would go there, too; the account as soon as the API has named it. A backlog must never turn green
because the token belongs to somebody else or the address is another environment's: there each session is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anyio import to_thread

from reaper.core import account, target
from reaper.core.account import Account, AccountUnknown, account_of, read_account
from reaper.core.classify import OtherAccount, Proven, ReadVerdict, classify_read
from reaper.core.model import Answered, Reply
from reaper.core.target import OtherTarget
from reaper.queues.base import ValuePort
from reaper.worker.ports import Api, TargetJournal

LARGE_BYTES = 256 * 1024
"""A longer list is read in a thread."""


async def verdict_of(reply: Reply) -> ReadVerdict:
    """Return what a reply to the list read proves, as `classify_read` does."""
    if isinstance(reply, Answered) and len(reply.body) > LARGE_BYTES:
        return await to_thread.run_sync(classify_read, reply)
    return classify_read(reply)


@dataclass(slots=True)
class Identity:
    """Makes the identity reads of one process. Raises QueueError as the queue does.

    `api` returns the API of now, and its address as of `core.target.address_of`; a reload may replace both.
    """

    api: Callable[[], tuple[Api, str]]
    queue: ValuePort
    journal: TargetJournal
    may_pin: bool = True
    """Whether to pin what is proven where nothing is pinned; the queue has to be open for writing."""
    _found: Account | AccountUnknown | None = None
    """The account of the last proven read."""
    _reported: str | None = None
    """Why the account was unknown when that was last logged."""

    @property
    def found(self) -> Account | AccountUnknown | None:
        """The account of the last proven read, which was not another one than the queue's."""
        return self._found

    async def read(self) -> tuple[Reply | None, ReadVerdict]:
        """Compare the address with the queue's; read the list, ask whose token it is, compare that, too.

        Returns the reply with the list, and what it proves. No reply: nothing was sent to that address. When a reload
        replaces the API meanwhile, the read begins anew at the new one: the old one closes with its last answer.
        """
        while (read := await self._read_at(*self.api())) is None:
            pass
        return read

    async def _read_at(self, api: Api, address: str) -> tuple[Reply | None, ReadVerdict] | None:
        """Make the read at one API; None when it was replaced before its list had come."""
        other = await self.compare_address(address)
        if self.api()[0] is not api:
            return None
        if other is not None:
            return None, other
        reply = await api.list_sessions()
        verdict = await verdict_of(reply)
        if self.api()[0] is not api:
            return None
        if isinstance(verdict, Proven):
            found = account_of(await api.whoami())
            verdict = (
                await self._prove(verdict, address, found) if isinstance(found, Account | AccountUnknown) else found
            )
        return reply, verdict

    async def verdict(self) -> ReadVerdict:
        """Make the read; return what it proves."""
        return (await self.read())[1]

    async def compare(self, *, proven: bool) -> OtherTarget | OtherAccount | None:
        """Compare address and account with the queue's as they stand there now; send nothing. None: they agree.

        `proven`: an answer has shown the address to be the API's, so that it is pinned where none is.
        """
        if other := await self.compare_address(self.api()[1], proven=proven):
            return other
        if self._found is None:
            return None
        compared = account.compare(Proven(), self._found, read_account(await self.queue.read_value(account.KEY)))
        return compared if isinstance(compared, OtherAccount) else None

    async def compare_address(self, address: str, *, proven: bool = False) -> OtherTarget | None:
        """Compare an address with the queue's. `proven`: pin it where none is."""
        pinned = await self.queue.read_value(target.KEY)
        if pinned is None and proven and self.may_pin:
            if await self.queue.compare_and_set(target.KEY, address, was=None):
                self.journal.target_pinned(address)
                return None
            pinned = await self.queue.read_value(target.KEY)  # another reaper was quicker
        return target.compare_address(address, pinned)

    async def _prove(self, proven: Proven, address: str, found: Account | AccountUnknown) -> ReadVerdict:
        """Compare the account of a read, and pin the address and the account where none is pinned."""
        pinned = read_account(await self.queue.read_value(account.KEY))
        if pinned is None and isinstance(found, Account) and self.may_pin:
            if await self.queue.compare_and_set(account.KEY, found.to_text(), was=None):
                self.journal.account_pinned(found.shown)
            pinned = read_account(await self.queue.read_value(account.KEY))  # another reaper may have been quicker
        if pinned is None and isinstance(found, AccountUnknown) and found.reason != self._reported:
            self._reported = found.reason
            self.journal.account_unknown(found.reason)
        compared = account.compare(proven, found, pinned)
        if isinstance(compared, OtherAccount):
            return compared
        self._found = found
        return await self.compare_address(address, proven=True) or proven
