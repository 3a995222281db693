"""The controlling terminal: which process group is in its foreground, reads its keys and gets its Ctrl-C."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


class Foreground:
    """The terminal of this process, if there is one, and the group to which it was given."""

    def __init__(self) -> None:
        """Ignore SIGTTOU from now on: this process may change the foreground, and write, from the background too."""
        self.is_given = False
        """Whether it was given to the command once."""
        self._fd: int | None = None
        with suppress(OSError):  # no terminal: a service, a CI job, a pipe
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        self._before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    @property
    def is_ours(self) -> bool:
        """Whether this process's group is in the foreground."""
        return self._group() == os.getpgrp()

    def give(self, group: int) -> None:
        """Put a group into the foreground. A terminal that was closed meanwhile is no error."""
        if self._fd is not None:
            self.is_given = True
            with suppress(OSError):
                os.tcsetpgrp(self._fd, group)

    def take_back(self, group: int) -> None:
        """Put this process's group into the foreground if `group` is there; a shell may have taken it meanwhile."""
        if self._group() == group:
            self.give(os.getpgrp())

    def restore_in_child(self) -> None:
        """Give SIGTTOU its meaning of before, in a child that becomes another program."""
        signal.signal(signal.SIGTTOU, self._before)

    def _group(self) -> int | None:
        if self._fd is None:
            return None
        try:
            return os.tcgetpgrp(self._fd)
        except OSError:  # it was closed
            return None
