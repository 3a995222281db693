"""A throwaway machine for units: a systemd as process 1 of its own namespaces, over a copy-on-write view of this root.

What it writes is gone with it. It shares the kernel, so /proc/sys and /sys are read-only in it; its network has a
loopback interface and nothing else; and it knows none of this machine's own services, nor a reaper installed here.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.programs import missing, need

TOOL = "systemd-box"
"""The name under which TEST_REQUIRE_TOOLS demands that this works."""

SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HIDDEN = ("/opt/reaper", "/usr/local/bin/reaper", "/etc/reaper", "/etc/sysusers.d/reaper.conf", "/var/lib/reaper")

# Each step must work, or the box cannot be had here; the message on stderr is the reason that the test gives.
_PREPARE = """set -eu
echo 0 > "$CGROUP/cgroup.procs"
exec unshare --cgroup --mount --net --uts --ipc --pid --fork --kill-child=KILL -- sh -euc "$INSIDE"
"""
_INSIDE = """
mount -t tmpfs -o mode=0755 none "$BOX"
mkdir "$BOX/upper" "$BOX/work" "$BOX/root"
mount -t overlay -o "lowerdir=/,upperdir=$BOX/upper,workdir=$BOX/work" overlay "$BOX/root"
cd "$BOX/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 none dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 none dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=0755 none run
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=0755 none var/log
mount -t tmpfs -o mode=0755 none etc/systemd/system
: > etc/fstab
for path in $HIDDEN; do rm -rf "./$path"; done
for file in passwd group shadow gshadow; do sed -i '/^reaper:/d' etc/$file; done
for folder in "$SHARED"/*; do
  mkdir -p "srv/${folder##*/}"; mount --bind "$folder" "srv/${folder##*/}"
done
hostname reaper-box
mkdir .outside
pivot_root . .outside
exec chroot . sh -euc "$LAST"
"""
# Shared mounts, as after a boot: the services get their copies of credentials through them.
_LAST = """
umount -l /.outside
mount --make-rshared /
exec setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-syslog -- env -i container=reaper-box PATH="$PATH" \\
  "$SYSTEMD" --system --unit=basic.target --log-target=journal
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A running box. `first` is the process ID of its systemd, as seen from outside."""

    first: int
    environ: Mapping[str, str]

    def run(
        self, *words: str, typed: str = "", expect: int | None = 0, timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in the box; `typed` is its stdin, `expect` the exit code it must end with."""
        spaces = ("--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup")
        inside = ["/usr/bin/env", "-i", "HOME=/root", f"PATH={PATH}", *(f"{k}={v}" for k, v in self.environ.items())]
        done = subprocess.run(
            [need("nsenter"), f"--target={self.first}", *spaces, "--", *inside, *words],
            input=typed,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert expect is None or done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def shell(self, script: str, *, typed: str = "", expect: int | None = 0) -> str:
        """Run a script in /srv/clone, each line of which must work; return what it printed."""
        words = ("bash", "-euo", "pipefail", "-c", f"cd /srv/clone\n{script}")
        return self.run(*words, typed=typed, expect=expect, timeout_s=100).stdout

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, typed=text)

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").stdout.strip()

    def journal(self, unit: str, since: float, *matches: str) -> list[dict[str, Any]]:
        """Return a unit's entries in the journal since an instant, oldest first; what systemd wrote about it too.

        `matches`: `FIELD=value` that they must have.
        """
        words = (f"--unit={unit}", f"--since=@{since:.6f}", "--output=json", "--no-pager", "--quiet", *matches)
        return [json.loads(line) for line in self.run("journalctl", *words).stdout.splitlines()]


@contextmanager
def box(folder: Path, shared: Path, environ: Mapping[str, str]) -> Iterator[Box]:
    """Start a box; skips where this machine cannot have one.

    `folder`: an empty directory. The directories in `shared` are seen as /srv/NAME. `environ` is for the commands that
    tests run in the box; its services have an environment of their own.
    """
    if os.geteuid() != 0:
        missing(TOOL, "needs root")
    systemd = next((path for path in SYSTEMD if os.access(path, os.X_OK)), None) or missing(TOOL, "needs systemd")
    words = [need("setpriv"), "--pdeathsig=KILL", "--", "sh", "-c", _PREPARE]
    for tool in ("unshare", "nsenter", "pivot_root"):
        need(tool)
    with _cgroup() as group, (folder / "log").open("w+") as log:
        (folder / "box").mkdir()
        variables = {"BOX": str(folder / "box"), "SHARED": str(shared), "CGROUP": str(group)}
        variables["HIDDEN"] = " ".join(HIDDEN)
        outer = subprocess.Popen(
            words,
            env={"PATH": PATH, "SYSTEMD": systemd, "INSIDE": _INSIDE, "LAST": _LAST, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
        )
        try:
            first = _wait_for_systemd(outer, folder / "log")
            there = Box(first, environ)
            eventually(lambda: _is_up(there), 60, what="systemd has reached basic.target")
            yield there
        finally:
            # The namespaces' process 1 dies with it (--kill-child), and everything in them with that.
            outer.kill()
            outer.wait(timeout=30)


def _wait_for_systemd(outer: subprocess.Popen[bytes], log: Path) -> int:
    """Return the process ID of systemd once it runs; skip with what was printed if a step before it failed."""
    end = time.monotonic() + 30
    while (first := _systemd_below(outer.pid)) is None:
        if outer.poll() is not None or time.monotonic() > end:
            missing(TOOL, f"cannot run here: {log.read_text().strip()[-500:] or 'no systemd after 30 s'}")
        time.sleep(0.05)
    return first


def _systemd_below(outer: int) -> int | None:
    try:
        first = int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])
        return first if Path(f"/proc/{first}/comm").read_text().strip() == "systemd" else None
    except (OSError, IndexError):
        return None


def _is_up(there: Box) -> bool:
    return there.run("systemctl", "is-active", "basic.target", expect=None).stdout.strip() == "active"


@contextmanager
def _cgroup() -> Iterator[Path]:
    """Make a control group that becomes the root of the box's; skip where there is no unified hierarchy to write to."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    tree = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if tree is None:
        missing(TOOL, "needs a mounted cgroup2")
    group = tree / f"reaper-box-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
    except OSError as error:
        missing(TOOL, f"cannot make a control group: {error.strerror}")
    try:
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Kill what is left in a control group and those below, and remove them."""
    end = time.monotonic() + 30
    while group.exists():
        with contextlib.suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        for below, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(below)
        assert time.monotonic() < end, f"{group} cannot be removed"
        time.sleep(0.05)
