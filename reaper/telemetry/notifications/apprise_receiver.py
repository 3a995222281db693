"""A receiver by a URL of Apprise. The library is imported with the first message.

Its log is kept away from ours, because it names tokens; the reasons that a failed message has in it are shown masked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from reaper.core.notification_texts import Message
from reaper.core.text import sanitize
from reaper.core.urls import masked_receiver
from reaper.telemetry.logs import redacted
from reaper.telemetry.notifications.apprise_plugin import open_plugin
from reaper.telemetry.notifications.mailbox import NotSentError
from reaper.telemetry.redaction import masked

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

MISSING = "notify.urls needs what is not installed (apprise): pip install 'archal-reaper[notify]'"
UNKNOWN = "Apprise knows no such service, or not with these parts; see the service's page in its documentation"
CONNECT_S = 3.0
"""The longest connecting, where the URL does not say another (`?cto=`): less than the reading, to tell them apart."""
MIN_SECRET = 4
"""Parts of a URL that are no shorter are masked in the reasons of its library."""


def is_installed() -> bool:
    """Return whether the extra is there, without importing it."""
    return find_spec("apprise") is not None


class AppriseReceiver:
    """One receiver; `number` is its place in `notify.urls`, from 1."""

    def __init__(self, url: str, number: int) -> None:
        self.name = f"{number}: {masked_receiver(url)}"
        self._url = url
        self._secrets = _secrets_of(url)

    def open(self) -> NotifyBase:
        """Return the plugin of the URL. Raises NotSentError when there is none, or the URL is not as it wants it."""
        _keep_log_away()
        try:
            with _Reasons():
                plugin = open_plugin(self._url)
        except ImportError:
            raise NotSentError(MISSING, again=False) from None
        if plugin is None:
            raise NotSentError(UNKNOWN, again=False)
        return plugin

    def prepare(self) -> Callable[[Message], None]:
        """Import the library and read the URL; return the function that sends. Both raise NotSentError."""
        plugin = self.open()
        if "cto=" not in self._url:
            plugin.socket_connect_timeout = min(plugin.socket_connect_timeout, CONNECT_S)
        return partial(self._send, plugin)

    def _send(self, plugin: NotifyBase, message: Message) -> None:
        from apprise import NotifyType

        began = time.monotonic()
        with _Reasons() as reasons:
            try:
                sent = plugin.notify(body=message.body, title=message.title, notify_type=NotifyType(message.tone))
            except Exception as error:  # noqa: BLE001  # a plugin of 150; its text may hold a secret
                raise NotSentError(f"Apprise failed: {type(error).__name__}", doubtful=True) from None
        if not sent:
            # A receiver that took the message and did not say so in time would get it twice.
            doubtful = time.monotonic() - began >= plugin.socket_read_timeout
            raise NotSentError(self._clean(reasons.text) or "Apprise does not say why", doubtful=doubtful)

    def _clean(self, text: str) -> str:
        return sanitize(redacted(masked(text, self._secrets)))


class _Reasons(logging.Handler):
    """Collects the warnings that Apprise logs in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.text = f"{self.text} {record.getMessage()}".strip()

    def __enter__(self) -> _Reasons:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def _keep_log_away() -> None:
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _secrets_of(url: str) -> tuple[str, ...]:
    """Return all parts of a URL that may be secret: any but its scheme."""
    parts = urlsplit(url.replace("://", "//", 1))
    words = f"{parts.netloc}/{parts.path}/{parts.query}/{parts.fragment}"
    for mark in "@:?&=#,":
        words = words.replace(mark, "/")
    found = {part for word in words.split("/") for part in (word, unquote(word)) if len(part) >= MIN_SECRET}
    return (url, *sorted(found, key=len, reverse=True))
