"""Runs an image's root file system as a container engine would: read-only, isolated, as the image's own user."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.programs import need

UID = 10001
STATE = "/var/lib/reaper"
CREDENTIALS = "/run/credentials"

# The loopback interface of a new network namespace is down; SIOCSIFFLAGS with IFF_UP | IFF_RUNNING, netdevice(7).
_LOOPBACK_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))"

_PREPARE = """set -eu
cd "$ROOTFS"
mkdir -p run/credentials
mount --bind . .
cd "$ROOTFS"
mount -t tmpfs -o mode=0755 none dev
for node in null zero random urandom; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mount --bind "$CREDENTIALS" run/credentials
if [ -n "$STATE" ]; then mount --bind "$STATE" var/lib/reaper
else mount -t tmpfs -o mode=1777 none var/lib/reaper; fi
mount -o remount,bind,ro .
"$PYTHON" -c "$LOOPBACK_UP"
echo ready
exec sleep infinity
"""


@dataclass(slots=True)
class Pod:
    """Containers of one image that share a root file system, a state directory and a network with nothing else in it.

    Each command is a container of its own: process 1 of a process namespace, with no privileges, and with nothing in
    its environment but what the image says and `env`.
    """

    rootfs: Path
    config: dict[str, Any]
    holder: int
    env: dict[str, str] = field(default_factory=dict)

    def words(self, *args: str, entrypoint: bool = True, env: dict[str, str] | None = None) -> list[str]:
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in (self.env | (env or {})).items())]
        user = self.config["User"]
        command = [*(self.config["Entrypoint"] if entrypoint else []), *(args or self.config["Cmd"])]
        inside = ["/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *variables, *command]
        prepare = 'mount -t proc proc "$0/proc" && exec "$@"'
        return [
            *(need("nsenter"), f"--target={self.holder}", "--mount", "--net", "--"),
            *(need("unshare"), "--mount", "--pid", "--fork", "--"),
            *("sh", "-c", prepare, str(self.rootfs)),
            *(need("setpriv"), "--no-new-privs", "--"),
            *(need("chroot"), f"--userspec={user}", "--groups=", str(self.rootfs), *inside),
        ]

    def run(
        self,
        *args: str,
        entrypoint: bool = True,
        timeout_s: float = 60.0,
        typed: str = "",
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `entrypoint` false names another program of the image, `typed` is its stdin."""
        words = self.words(*args, entrypoint=entrypoint, env=env)
        return subprocess.run(words, input=typed, capture_output=True, text=True, timeout=timeout_s, check=False)

    def python(self, code: str) -> str:
        """Run Python code in the image and return what it printed."""
        done = self.run("python", "-c", code, entrypoint=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def started(self, *args: str, log: Path, env: dict[str, str] | None = None) -> Iterator[Started]:
        """Start a command in the background, its output in `log`; it is killed at the end."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.words(*args, env=env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield Started(process, log)
        finally:
            # Process 1, whose death ends the container. Not `unshare --kill-child`: a change of user undoes it.
            if process.poll() is None:
                for pid in _children(process.pid) or {process.pid}:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            process.wait(timeout=30)


@dataclass(frozen=True, slots=True)
class Started:
    """A container in the background."""

    process: subprocess.Popen[bytes]
    log: Path

    def signal_first(self, number: int) -> None:
        """Send a signal to process 1 of the container, from outside, as an engine does."""
        (first,) = _children(self.process.pid)
        assert _pid_inside(first) == 1
        os.kill(first, number)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def pod(rootfs: Path, config: dict[str, Any], folder: Path, *, state: bool) -> Iterator[Pod]:
    """Open a pod; `state`: the state directory is a volume (`folder`/state) instead of a tmpfs."""
    volume, credentials = folder / "state", folder / "credentials"
    for place in (volume, credentials):
        place.mkdir(0o700)
        os.chown(place, UID, UID)
    environ = os.environ | {
        "ROOTFS": str(rootfs),
        "STATE": str(volume) if state else "",
        "CREDENTIALS": str(credentials),
        "PYTHON": sys.executable,
        "LOOPBACK_UP": _LOOPBACK_UP,
    }
    holder = subprocess.Popen(
        [need("unshare"), "--mount", "--net", "--", "sh", "-c", _PREPARE],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stderr is not None
        assert holder.stdout.readline() == "ready\n", holder.stderr.read()
        yield Pod(rootfs, config, holder.pid)
    finally:
        left = _sharing_network(holder.pid) - {holder.pid}
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        holder.kill()
        holder.communicate(timeout=30)
    assert left == set(), "a container outlived its test"


def _children(pid: int) -> set[int]:
    try:
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()


def _pid_inside(pid: int) -> int:
    """Return a process's number in its own process namespace, proc(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def _sharing_network(pid: int) -> set[int]:
    """Return the processes in the network namespace of one, that one included."""
    space = os.readlink(f"/proc/{pid}/ns/net")
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "ns" / "net") == space:
                found.add(int(entry.name))
    return found


def write_token(place: Path, token: str) -> None:
    """Put a token file in place as a rotation does: readable by the image's user alone, and all at once."""
    fresh = place.with_name(".new")
    fresh.write_text(token)
    os.chown(fresh, UID, UID)
    fresh.chmod(0o400)
    fresh.rename(place)
