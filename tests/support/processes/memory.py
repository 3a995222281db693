"""The memory of a process, as the kernel counts it."""

from __future__ import annotations


def memory_mib(pid: int, name: str) -> float:
    """Return a figure of /proc/PID/status: VmRSS is the memory now, VmHWM the most since it was executed.

    `ru_maxrss` would not do: it begins with the memory of the process that forked.
    """
    with open(f"/proc/{pid}/status") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(name)), 0.0)
