"""Runs one client to its end and tells what it cost."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Ran:
    """One finished process and those that it waited for: CPU seconds, the largest's peak memory, how it ended."""

    cpu_s: float
    peak_mib: float
    code: int
    cut: bool
    """It took longer than it was given, and was killed."""
    out: str
    err: str


def ran(words: list[str], env: dict[str, str], home: Path, limit_s: float, stdin: Path | None = None) -> Ran:
    """Run a command in `home`, without the caller's environment, for at most `limit_s`."""
    out, err = home / "stdout", home / "stderr"
    with out.open("w") as to, err.open("w") as errors, (stdin or Path(os.devnull)).open() as source:
        # A session of its own: what the client starts ends with it.
        process = subprocess.Popen(
            words, env=env, cwd=home, stdin=source, stdout=to, stderr=errors, start_new_session=True
        )
        pidfd = os.pidfd_open(process.pid)
        sampled, waited_s, cut = 0.0, 0.0, False
        try:
            while not select.select([pidfd], [], [], _LOOK_S)[0]:
                sampled = max(sampled, _peak_mib(process.pid))
                waited_s += _LOOK_S
                if waited_s > limit_s:
                    cut = True
                    break
        finally:
            os.close(pidfd)
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    # The kernel carries the memory of whoever started a process over into its peak. A client larger than this process
    # is measured by the kernel, a smaller one by looking at it while it runs.
    own_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peak_mib = usage.ru_maxrss / 1024
    if peak_mib <= own_mib + 1:
        peak_mib = sampled
    cpu_s = usage.ru_utime + usage.ru_stime
    return Ran(cpu_s, peak_mib, process.returncode, cut, out.read_text(), err.read_text()[-2000:])


def cpu_of(pids: list[int]) -> float:
    """Return the seconds of CPU that running processes have used (proc(5))."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> float:
    """Return the most memory that a process has had in RAM; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024 if "VmHWM:" in status else 0.0
