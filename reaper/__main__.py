"""Entry point of the command. `health` runs before anything heavy is imported."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

THREADS_S = 0.5
"""How long threads may take to end once the work is over and the output written."""
CAUGHT = {
    "run": (signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    "once": (signal.SIGTERM, signal.SIGINT),
    "exec": (signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
}
"""The signals that a verb catches: while it is loaded, they wait for the handlers of `app.signals`."""


def main(argv: list[str] | None = None) -> int:
    """Run one command line (None: `sys.argv`) and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["health"]:
        from reaper.cli.commands import health

        if (code := health.main(words[1:])) is not None:
            return code
    if argv is None and (caught := CAUGHT.get(words[0] if words else "")):
        signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    try:
        from reaper.cli.main import dispatch

        code = dispatch(words)
    except KeyboardInterrupt:  # while it was loaded, or at the very end
        code = 128 + signal.SIGINT
    _leave_in_time(code)
    return code


def _leave_in_time(code: int) -> None:
    """End the process now if a thread hangs, which the interpreter would wait for; ignore signals from here on.

    At its end the interpreter gives caught signals back to the system: one that came then would replace the exit code.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler):
            signal.signal(number, signal.SIG_IGN)
    until = time.monotonic() + THREADS_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
