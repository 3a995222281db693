"""One receiver's mailbox: a bounded queue, emptied by a thread that lives while something is in it.

The thread is a daemon: a receiver that hangs costs a thread and its messages, never the work or the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
M_contra = TypeVar("M_contra", contravariant=True)

MAX_WAITING = 20
"""Messages that wait for one receiver; the oldest makes room for the newest."""
AGAIN_S = (5.0, 25.0)
"""The waits before a message is tried again that surely did not arrive."""


class NotSentError(Exception):
    """A message did not arrive, for a reason without secrets.

    `doubtful`: it may have arrived, and nobody said so. `again`: it is worth another try in a moment.
    """

    def __init__(self, reason: str, *, doubtful: bool = False, again: bool = True) -> None:
        super().__init__(reason)
        self.doubtful = doubtful
        self.again = again and not doubtful


class Receiver(Protocol[M_contra]):
    """Takes messages, one at a time, in a thread."""

    @property
    def name(self) -> str:
        """How to name it to a person, without secrets."""

    def prepare(self) -> Callable[[M_contra], None]:
        """Make ready to send, which may take seconds; return the function that sends. Both raise NotSentError."""


Done = Callable[[str, T, NotSentError | None], None]
"""Called with the receiver's name when a message was sent (None) or given up; in the caller's or in a thread."""


class Mailbox(Generic[T]):
    """Sends messages to one receiver, in order."""

    def __init__(self, receiver: Receiver[T], done: Done[T], *, max_waiting: int = MAX_WAITING) -> None:
        self.receiver = receiver
        self._done = done
        self._max_waiting = max_waiting
        self._waiting: deque[T] = deque()
        """The first stays here until it begins to leave: until then it can be withdrawn."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()

    def post(self, message: T) -> None:
        """Take a message; never waits. The oldest is given up when too many wait."""
        dropped: list[T] = []
        with self._lock:
            if len(self._waiting) >= self._max_waiting:
                dropped.append(self._waiting.popleft())
            self._waiting.append(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._empty, name="notification", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no thread can be had now
                    self._thread = None
        for each in dropped:
            self._done(self.receiver.name, each, NotSentError("the receiver has not answered for too long"))

    def hurry(self) -> None:
        """Wait before no further try: the process ends soon."""
        self._hurry.set()

    def withdraw(self) -> None:
        """Give up what has not begun to leave: the process ends now."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            self._done(self.receiver.name, each, NotSentError("there was no time left for it at the end of the run"))

    def _empty(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                message = self._waiting[0]
            self._deliver(message)

    def _deliver(self, message: T) -> None:
        """Send the first message, and again while it surely did not arrive; report it, unless it was withdrawn."""
        is_taken, error = False, None
        for again_s in (*AGAIN_S, None):
            try:
                send = self.receiver.prepare()
                if not (is_taken := self._take(message)):
                    return
                send(message)
                error = None
            except NotSentError as fault:
                error = fault
            except Exception as fault:  # noqa: BLE001  # the top of a thread; its text may hold a secret
                error = NotSentError(f"internal error: {type(fault).__name__}", doubtful=True)
            if error is None or not error.again or again_s is None:
                break
            if is_taken:
                with self._lock:
                    self._waiting.appendleft(message)
                is_taken = False
            self._hurry.wait(again_s)
        if is_taken or self._take(message):
            self._done(self.receiver.name, message, error)

    def _take(self, message: T) -> bool:
        """Take the first message out, from where it cannot be withdrawn; return whether it was still there."""
        with self._lock:
            if self._waiting and self._waiting[0] is message:
                self._waiting.popleft()
                return True
            return False
