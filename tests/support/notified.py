"""An outbox that remembers, and a queue with something to notify."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reaper.app.notifier import Notifier, Out
from reaper.core.discovery import holds
from reaper.core.discovery.holds import Guard, Hold
from reaper.core.discovery.policy import Rule
from reaper.core.model import SessionId
from reaper.core.notification_texts import Message
from reaper.core.notifications import Notification
from reaper.queues.base import Queue
from reaper.settings.schema import Settings
from reaper.settings.sections import NotifySettings
from reaper.telemetry.notifications.pinger import Ping

SETTINGS = Settings(notify=NotifySettings(urls=("json://receiver.example",)))


@dataclass
class Outgoing:
    """An outbox that remembers. `on_lost`: to be called with what is to have reached nobody."""

    has_receivers: bool = True
    has_monitor: bool = True
    messages: list[Message] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    pings: list[Ping] = field(default_factory=list)
    withdrawn: int = 0
    on_lost: Callable[[Notification], None] = lambda _: None

    def open(self, _: NotifySettings, on_lost: Callable[[Notification], None]) -> Out:
        self.on_lost = on_lost
        return self

    def post(self, notification: Notification, message: Message) -> None:
        self.notifications.append(notification)
        self.messages.append(message)

    def ping(self, ping: Ping) -> None:
        self.pings.append(ping)

    async def drained(self) -> None: ...

    def withdraw(self) -> None:
        self.withdrawn += 1


def notifier_on(queue: Queue, outgoing: Outgoing) -> Notifier:
    """Return the notifier of one reaper on a queue."""
    notifier = Notifier(SETTINGS, outgoing.open)
    notifier.use_queue(queue)
    return notifier


async def hold_something(queue: Queue) -> Hold:
    """Keep a held sweep in the queue."""
    now = queue.now()
    held = Hold("h1", now, now + 86_400, (Guard.MAX_SHARE,), "60 % of all", {SessionId("ses-1"): Rule.EXPIRED})
    assert await queue.compare_and_set(holds.KEY, holds.to_text((held,)), was=None)
    return held
