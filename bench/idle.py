"""What an idle daemon costs: CPU as a share of one core, and resident memory.

    .venv/bin/python -m bench.idle [--seconds 60]

Starts a stand-in API and the daemon on an empty ledger with its health listener and a spool, waits until it is still,
probes `/livez` every 10 s as a service manager would, and reads what the kernel counted for the process.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.sandbox import running_sandbox

PROBE_S = 10.0
STILL_S, STILL_CPU_S = 1.0, 0.02
"""Two ticks of the kernel's clock in a second: 2 % of a core; an idle daemon takes half a percent."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, running_sandbox(0) as sandbox, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        environ = {
            "PATH": os.environ["PATH"],
            "XDG_STATE_HOME": home,
            "ARCHAL_TOKEN": sandbox.token,
            "REAPER_API__BASE_URL": sandbox.url,
            "REAPER_TELEMETRY__LISTEN": address,
            "REAPER_INTAKE__SPOOL_DIR": str(Path(home, "spool")),
        }
        log = Path(home, "log").open("w")  # noqa: SIM115
        with log, subprocess.Popen([sys.executable, "-m", "reaper", "run"], env=environ, stderr=log) as daemon:
            try:
                eventually(lambda: is_ready(f"http://{address}/readyz"), 20, what="the daemon is ready", every_s=0.1)
                eventually(lambda: is_still(daemon.pid), 20, what="its start is over")
                before, begun = cpu_s(daemon.pid), time.monotonic()
                while (left := begun + asked.seconds - time.monotonic()) > 0:
                    time.sleep(min(PROBE_S, left))
                    urllib.request.urlopen(f"http://{address}/livez", timeout=5).close()
                spent, ran = cpu_s(daemon.pid) - before, time.monotonic() - begun
                print(f"idle for {ran:.0f} s: {100 * spent / ran:.2f} % of a core, {resident_mib(daemon.pid):.1f} MiB")
            finally:
                daemon.terminate()


def is_ready(url: str) -> bool:
    """Return whether the daemon says that it is ready."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def is_still(pid: int) -> bool:
    """Watch a process for `STILL_S`; return whether it used next to no CPU: what belongs to its start is done."""
    before = cpu_s(pid)
    time.sleep(STILL_S)
    return cpu_s(pid) - before <= STILL_CPU_S


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process has used (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Return the memory of a process that is in RAM now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
