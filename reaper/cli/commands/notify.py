"""`reaper notify test`: send one message to each receiver, and say of each whether it took it."""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass

from reaper.app.notifier import origin_of
from reaper.cli.arguments import add_action
from reaper.cli.context import loaded
from reaper.cli.output import emit, emit_json
from reaper.core.errors import ConfigError, Exit
from reaper.core.notification_texts import Message, trial_message
from reaper.telemetry.notifications.apprise_receiver import MISSING, AppriseReceiver, is_installed
from reaper.telemetry.notifications.mailbox import NotSentError

WITHIN_S = 30.0
"""How long a receiver may take; they are tried at the same time."""


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="test", required=True)
    test = add_action(actions, "notify", "test", "send a test message to each of notify.urls; say which took it")
    test.epilog = f"notify.heartbeat_url is not pinged: a monitor would take that for a good run.\n\n{test.epilog}"


def run(args: argparse.Namespace) -> int:
    """Print a line for each receiver; 1 when one did not take the message. Raises ConfigError when there is none."""
    settings = loaded(args).settings
    if not settings.notify.urls:
        raise ConfigError("notify.urls names no receiver; docs/notifications.md has examples")
    if not is_installed():
        raise ConfigError(MISSING)
    message = trial_message(origin_of(settings))
    trials = [_Trial(AppriseReceiver(url, number)) for number, url in enumerate(settings.notify.urls, start=1)]
    for each in trials:
        each.begin(message)
    until = time.monotonic() + WITHIN_S
    for each in trials:
        each.end(until)
    if args.json:
        emit_json({"receivers": [each.as_json() for each in trials]})
    else:
        for each in trials:
            word = "ok  " if each.fault is None else "FAIL"
            emit(f"{word}  {each.receiver.name}{'' if each.fault is None else f'  {each.fault}'}")
    return Exit.OK if all(each.fault is None for each in trials) else Exit.INTERNAL


@dataclass(slots=True)
class _Trial:
    """One receiver's test, in a thread that is left behind when it takes too long."""

    receiver: AppriseReceiver
    fault: str | None = f"no result within {WITHIN_S:g} s"
    took_s: float = WITHIN_S
    thread: threading.Thread | None = None

    def begin(self, message: Message) -> None:
        self.thread = threading.Thread(target=self._send, args=(message,), daemon=True)
        self.thread.start()

    def _send(self, message: Message) -> None:
        began, fault = time.monotonic(), None
        try:
            self.receiver.prepare()(message)
        except NotSentError as error:
            fault = str(error)
        self.fault, self.took_s = fault, time.monotonic() - began

    def end(self, until: float) -> None:
        if self.thread is not None:
            self.thread.join(max(0.0, until - time.monotonic()))

    def as_json(self) -> dict[str, object]:
        number, _, url = self.receiver.name.partition(": ")
        return {
            "number": int(number),
            "url": url,
            "ok": self.fault is None,
            "error": self.fault,
            "duration_s": round(self.took_s, 3),
        }
