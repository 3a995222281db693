"""Runs reaper commands in forks of a process that has imported everything: a start costs 5 ms instead of 500.

Reads a wish as a JSON line, forks, writes the child's PID, waits for its end, writes its exit code (less than 0: the
signal that ended it). Run as a script by `tests.support.fault.warm`.
"""

from __future__ import annotations

import json
import os
import pkgutil
import resource
import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

OPTIONAL = ("reaper.queues.postgres.open", "reaper.queues.redis.open", "reaper.__main__", "reaper.cli.commands.health")


def serve() -> None:
    reaper = import_module("reaper")
    for module in pkgutil.walk_packages(reaper.__path__, "reaper."):
        if not module.name.startswith(OPTIONAL):
            import_module(module.name)
    if find_spec("uvloop"):
        import_module("uvloop")
    for line in sys.stdin:
        wish = json.loads(line)
        child = os.fork()
        if child == 0:
            become(wish)
        print(child, flush=True)
        # Ended, and not yet taken off the list: whoever still means to kill it cannot hit another process.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        print("ended", flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(wish: dict[str, Any]) -> None:
    """Be the command, to its end."""
    code = 70
    try:
        os.chdir(wish["home"])
        os.environ.clear()
        os.environ.update(wish["env"])
        for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY | os.O_CREAT), (2, os.O_WRONLY | os.O_CREAT)):
            fd = os.open(wish["streams"][number], flags | os.O_APPEND, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # the parent's has read ahead
        for name, most in wish["limits"].items():
            resource.setrlimit(getattr(resource, name), (most, most))
        if wish["stopped"]:
            os.kill(os.getpid(), signal.SIGSTOP)
        code = import_module("reaper.__main__").main(wish["args"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
