"""All receivers of one process, and its monitor: hands messages to their mailboxes, logs what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from reaper.core.notification_texts import Message
from reaper.core.notifications import Notification
from reaper.telemetry import events
from reaper.telemetry.logs import get
from reaper.telemetry.notifications.apprise_receiver import MISSING, AppriseReceiver, is_installed
from reaper.telemetry.notifications.mailbox import Mailbox, NotSentError

if TYPE_CHECKING:
    from reaper.telemetry.notifications.pinger import Ping


@dataclass(slots=True)
class Letter:
    """One message on its way to all receivers."""

    notification: Notification
    message: Message
    left: int
    may_have_arrived: bool = False


@dataclass(frozen=True, slots=True)
class _ByApprise:
    """Takes letters for a receiver of Apprise."""

    receiver: AppriseReceiver

    @property
    def name(self) -> str:
        return self.receiver.name

    def prepare(self) -> Callable[[Letter], None]:
        send = self.receiver.prepare()
        return lambda letter: send(letter.message)


class Outbox:
    """Sends to `urls` and pings `heartbeat_url`. Its methods never wait and never fail; call them in the event loop.

    `on_lost` is called there with each notification that surely reached nobody.
    """

    def __init__(self, urls: Sequence[str], heartbeat_url: str | None, on_lost: Callable[[Notification], None]) -> None:
        self.has_receivers, self.has_monitor = bool(urls), heartbeat_url is not None
        self._on_lost = on_lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._letters = [
            Mailbox(_ByApprise(AppriseReceiver(url, number)), self._report_letter)
            for number, url in enumerate(urls, start=1)
        ]
        self._pings: list[Mailbox[Ping]] = []
        if heartbeat_url is not None:
            from reaper.telemetry.notifications.pinger import Pinger

            # A ping that waits is out of date when the next one comes.
            self._pings.append(Mailbox(Pinger(heartbeat_url), self._report_ping, max_waiting=1))
        self._ping_failed = False
        self._pending = 0
        """Results that are still to come."""
        self._idle = anyio.Event()
        if urls and not is_installed():
            get().warning(events.NOTIFICATION_FAILED, detail=MISSING)

    def post(self, notification: Notification, message: Message) -> None:
        """Send a message to all receivers."""
        letter = Letter(notification, message, len(self._letters))
        self._begin(len(self._letters))
        for mailbox in self._letters:
            mailbox.post(letter)

    def ping(self, ping: Ping) -> None:
        """Ping the monitor."""
        self._begin(len(self._pings))
        for mailbox in self._pings:
            mailbox.post(ping)

    async def drained(self) -> None:
        """Wait until nothing is under way, and before no further try: the process ends soon."""
        for letters in self._letters:
            letters.hurry()
        for pings in self._pings:
            pings.hurry()
        if self._pending:
            await self._idle.wait()

    def withdraw(self) -> None:
        """Give up what has not begun to leave: the process ends now."""
        for letters in self._letters:
            letters.withdraw()

    def _begin(self, count: int) -> None:
        """Count what is handed to mailboxes now."""
        self._loop = asyncio.get_running_loop()
        if count and not self._pending:
            self._idle = anyio.Event()
        self._pending += count

    def _end(self) -> None:
        self._pending -= 1
        if not self._pending:
            self._idle.set()

    # --- called in the mailboxes' threads ---------------------------------------------------------------------------

    def _report_letter(self, name: str, letter: Letter, error: NotSentError | None) -> None:
        self._in_loop(partial(self._note_letter, name, letter, error))

    def _report_ping(self, name: str, _: Ping, error: NotSentError | None) -> None:
        self._in_loop(partial(self._note_ping, name, error))

    def _in_loop(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError, AttributeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call)  # type: ignore[union-attr]

    # --- and these in the event loop --------------------------------------------------------------------------------

    def _note_letter(self, name: str, letter: Letter, error: NotSentError | None) -> None:
        what = {"kind": letter.notification.kind.value, "change": letter.notification.change.value, "receiver": name}
        if error is None:
            get().info(events.NOTIFICATION_SENT, **what)
        else:
            get().warning(events.NOTIFICATION_FAILED, **what, detail=str(error))
        letter.left -= 1
        letter.may_have_arrived |= error is None or error.doubtful
        if not letter.left and not letter.may_have_arrived:
            self._on_lost(letter.notification)
        self._end()

    def _note_ping(self, name: str, error: NotSentError | None) -> None:
        """Log a change, not each ping."""
        if error is not None and not self._ping_failed:
            get().warning(events.HEARTBEAT_FAILED, monitor=name, detail=str(error))
        elif error is None and self._ping_failed:
            get().info(events.HEARTBEAT_RECOVERED, monitor=name)
        self._ping_failed = error is not None
        self._end()
