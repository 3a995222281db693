"""The lines about who is notified: whether Apprise takes each URL. Nothing is sent; `reaper notify test` does that."""

from __future__ import annotations

from anyio import to_thread

from reaper.app.check.line import Line
from reaper.core.text import pluralize
from reaper.core.urls import masked_ping
from reaper.settings.schema import Settings


async def notify_lines(settings: Settings) -> list[Line]:
    """Return a line for each URL that can take no message, or one for all; and one for the monitor.

    None of them keeps `run` from stopping sessions.
    """
    lines = []
    if settings.notify.urls:
        faults = await to_thread.run_sync(_faults, settings.notify.urls)
        count = pluralize(len(settings.notify.urls), "receiver", "receivers")
        lines += [Line("notify.urls", fault, warned=True) for fault in faults]
        lines += [] if faults else [Line("notify.urls", f"{count}; to try: reaper notify test")]
    if settings.notify.heartbeat_url is not None:
        what = f"{masked_ping(settings.notify.heartbeat_url)} is pinged after each good run or minute"
        lines.append(Line("heartbeat", what))
    return lines


def _faults(urls: tuple[str, ...]) -> list[str]:
    """Return a sentence for each URL without a plugin; one for all where the library is missing."""
    from reaper.telemetry.notifications.apprise_receiver import MISSING, AppriseReceiver, is_installed
    from reaper.telemetry.notifications.mailbox import NotSentError

    if not is_installed():
        return [MISSING]
    found = []
    for number, url in enumerate(urls, start=1):
        receiver = AppriseReceiver(url, number)
        try:
            receiver.open()
        except NotSentError as error:
            found.append(f"entry {receiver.name}: {error}")
    return found
