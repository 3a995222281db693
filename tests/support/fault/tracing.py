"""strace on one command: what it writes, and what happens to it at its nth write."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command
from tests.support.programs import missing, need

WRITES = "write,pwrite64,fsync,fdatasync,ftruncate,unlink,rename"


@dataclass(frozen=True, slots=True)
class Traced:
    """How a traced command ended: exit code (less than 0: the signal), and whether the injected fault took place."""

    code: int
    hit: bool
    out: str
    err: str
    trace: Path


@cache
def strace() -> str:
    """Return the tool's path; skip the test where there is none, or where tracing is forbidden."""
    path = need("strace")
    tried = subprocess.run([path, "-f", "-o", os.devnull, "true"], capture_output=True, check=False)
    if tried.returncode:
        missing("strace", "may not trace here")
    return path


def traced(warm: Warm, command: Command, *args: str, options: Sequence[str], **more: Any) -> Traced:
    """Run a command under strace with these options."""
    trace = command.home / "trace"
    running = warm.start(command, *args, stopped=True, **more)
    eventually(lambda: state(running.pid) == "T")
    words = [strace(), "-f", "-p", str(running.pid), "-o", str(trace), *options]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    assert "attached" in said, said
    os.kill(running.pid, signal.SIGCONT)
    code = warm.wait(running)
    tracer.communicate(timeout=60)
    hit = "(INJECTED)" in trace.read_text(errors="replace") or code == -signal.SIGKILL
    done = Traced(code, hit, running.out.read_text(), running.err.read_text(), trace)
    running.out.unlink()
    running.err.unlink()
    return done


def state(pid: int) -> str:
    return re.sub(r".*\) (\S).*", r"\1", Path(f"/proc/{pid}/stat").read_text().strip())
