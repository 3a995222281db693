"""The containers of an overlay as processes here, with the volumes and users that kubelet gives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.deploy.kube import Doc, Overlay, overlay
from tests.support.processes.command import TOKEN
from tests.support.processes.daemon import free_port
from tests.support.programs import missing, need
from tests.support.sandbox import RunningSandbox


class Pod:
    """An overlay's pod in a directory of its own; `users`: each container runs as the user that its pod names.

    `secret` is what every variable from a Secret has for its value; None: such variables are missing.
    """

    def __init__(
        self, rendered: Overlay, folder: Path, sandbox: RunningSandbox, ids: str, users: bool, secret: str | None
    ) -> None:
        self.rendered, self.users = rendered, users
        self._secret = secret
        self.folder = folder
        self._port = free_port()
        self._url = sandbox.url
        self._started: list[subprocess.Popen[str]] = []
        for name, volume in rendered.volumes.items():
            place = folder / name
            place.mkdir()
            if "secret" in volume:
                self.project(place, "token", TOKEN, volume["secret"]["defaultMode"])
            elif "configMap" in volume:
                wanted = ("ids.txt", ids) if name == "ids" else ("reaper.toml", self._here(rendered.toml))
                self.project(place, *wanted, 0o644)
            elif users:
                # As an emptyDir or a fresh file system under fsGroup: of root and the group, which new entries inherit.
                os.chown(place, 0, rendered.spec["securityContext"]["fsGroup"])
                place.chmod(0o2777 if "emptyDir" in volume else 0o2775)

    def project(self, place: Path, name: str, text: str, mode: int) -> None:
        """Show a text as a mounted file, the way that an update of it appears: by one rename."""
        version = Path(tempfile.mkdtemp(prefix="..", dir=place))
        version.chmod(0o755)
        (version / name).write_text(text)
        (version / name).chmod(mode)
        if self.users:
            os.chown(version / name, 0, self.rendered.spec["securityContext"]["fsGroup"])
        (place / "..new").symlink_to(version.name)
        (place / "..new").rename(place / "..data")
        with suppress(FileExistsError):
            (place / name).symlink_to(f"..data/{name}")

    def _here(self, text: str) -> str:
        """Replace the paths of the mounts by those of the volumes, the longest first."""
        mounts = {one["mountPath"]: one["name"] for c in self.rendered.containers for one in c["volumeMounts"]}
        for path in sorted(mounts, key=len, reverse=True):
            text = text.replace(path, str(self.folder / mounts[path]))
        return text

    def start(self, name: str, args: list[str] | None = None) -> subprocess.Popen[str]:
        """Start a container; `args` in the place of its own."""
        one = self.rendered.container(name)
        entry = one.get("command", [sys.executable, "-m", "reaper"])
        words = [self._here(word) for word in [*entry, *(one.get("args", []) if args is None else args)]]
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            **{entry["name"]: self._here(entry["value"]) for entry in one.get("env", []) if "value" in entry},
        }
        if self._secret is not None:
            environ |= {entry["name"]: self._secret for entry in one.get("env", []) if "valueFrom" in entry}
        if "command" not in one:
            environ |= {
                "REAPER_CONFIG": self._here("/etc/reaper/reaper.toml"),
                "REAPER_API__BASE_URL": self._url,
                "REAPER_TELEMETRY__LISTEN": f"127.0.0.1:{self._port}",
                # As the image has it.
                "STATE_DIRECTORY": self._here("/var/lib/reaper"),
            }
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [*self._as_user(one), *words],
                cwd="/",
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._started.append(process)
        return process

    def _as_user(self, one: Doc) -> list[str]:
        if not self.users:
            return []
        who = self.rendered.spec["securityContext"] | one["securityContext"]
        ids = ["--reuid", str(who["runAsUser"]), "--regid", str(who["runAsGroup"]), "--groups", str(who["fsGroup"])]
        return [need("setpriv"), *ids, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]

    def run(self, name: str, args: list[str] | None = None) -> tuple[int, str]:
        """Run a container to its end; return its exit code and output."""
        process = self.start(name, args)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def answers(self, probe: str) -> bool:
        """Ask as kubelet does: any code from 200 to 399 is a success."""
        path = self.rendered.reaper[probe]["httpGet"]["path"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=2):
                return True
        except urllib.error.HTTPError as refused:
            refused.close()
        except OSError:
            pass
        return False

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log events of reaper that have a name."""
        whole = self.said("reaper").rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@contextmanager
def pod(
    name: str, sandbox: RunningSandbox, *, ids: str = "", users: bool = False, secret: str | None = None
) -> Iterator[Pod]:
    # Not pytest's own directory: other users cannot read that.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        one = Pod(overlay(name), Path(folder), sandbox, ids, users, secret)
        try:
            yield one
        finally:
            one.close()


def may_change_users() -> None:
    if os.geteuid() != 0:
        missing("root", "is not who runs this: users cannot be changed")
    ask = [
        need("setpriv"),
        "--reuid",
        "10001",
        "--regid",
        "10001",
        "--clear-groups",
        sys.executable,
        "-c",
        "import reaper",
    ]
    if subprocess.run(ask, cwd="/", capture_output=True, check=False).returncode != 0:
        missing("root", "keeps this Python to itself: another user cannot run it")
