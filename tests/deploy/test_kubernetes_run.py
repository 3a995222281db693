"""The containers of the overlays as processes here: their own arguments, settings, users and volumes, no cluster.

A volume is a directory with the owner and mode that kubelet gives it under the pod's fsGroup; a mounted ConfigMap or
Secret is a link into a directory that is swapped as a whole. Paths of the containers are replaced by those.
"""

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
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reaper.sandbox.sessions import generate
from tests.support.deploy.kube import Doc, Overlay, overlay
from tests.support.eventually import eventually
from tests.support.fault.engines import Engine, Postgres, Redis
from tests.support.processes.command import TOKEN
from tests.support.processes.daemon import free_port
from tests.support.programs import missing, need
from tests.support.sandbox import RunningSandbox, running_sandbox


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


@pytest.mark.parametrize("users", [False, True], ids=["one user", "the users of the pod"])
def test_the_sidecar_stops_what_the_app_registered_when_the_pod_ends(users: bool) -> None:
    if users:
        may_change_users()
    sessions = [session.session_id for session in generate(20, 7)]
    with running_sandbox(list(generate(20, 7)), latency="20ms") as sandbox, pod("sidecar", sandbox, users=users) as one:
        # In the order of kubelet: the rooms, the sidecar up to its startup probe, the app.
        assert one.run("spool") == (0, "")
        sidecar = one.start("reaper")
        eventually(lambda: one.answers("startupProbe"))
        app = one.start("app", list(sessions))
        assert app.stdout is not None
        for session in sessions:
            assert app.stdout.readline() == f"registered {session}\n", one.said("app")
        # Long before its time is over: as when the pod is deleted.
        app.terminate()
        assert app.wait(timeout=5) == 143
        assert sandbox.sends == {}
        sidecar.terminate()
        assert sidecar.wait(timeout=60) == 0, one.said("reaper")
        assert set(sandbox.sends) == set(sessions)
        code, out = one.run("reaper", ["outcomes", "--json"])
        assert code == 0
        assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["stopped"] * len(sessions)
        assert one.run("reaper", ["audit"])[0] == 0


def test_the_daemon_answers_its_probes_and_takes_a_rotated_token() -> None:
    sessions = [session.session_id for session in generate(5, 8)]
    with running_sandbox(list(generate(5, 8))) as sandbox, pod("daemon", sandbox) as one:
        token = one.folder / "token"
        one.project(token, "token", "archal_ws_old", 0o440)
        daemon = one.start("reaper")
        eventually(lambda: one.answers("startupProbe") and not one.answers("readinessProbe"))
        assert one.answers("livenessProbe")
        # As the guide has it: IDs are handed in beside the running daemon.
        assert one.run("reaper", ["add", *sessions])[0] == 0
        assert sandbox.sends == {}
        one.project(token, "token", TOKEN, 0o440)
        eventually(lambda: one.answers("readinessProbe") and set(sandbox.sends) == set(sessions))
        daemon.terminate()
        assert daemon.wait(timeout=30) == 0, one.said("reaper")


def test_the_cron_job_goes_on_with_what_an_earlier_pod_left() -> None:
    sessions = [session.session_id for session in generate(6, 9)]
    text = "".join(f"{session}\n" for session in sessions)
    with running_sandbox(list(generate(6, 9))) as sandbox, pod("cron", sandbox, ids=text) as one:
        assert one.run("reaper", ["pause", "--reason", "a pod that was stopped early"])[0] == 0
        code, out = one.run("reaper")
        assert code == 75
        assert json.loads(out)["waiting"] == 6
        assert one.run("reaper", ["resume"])[0] == 0
        code, out = one.run("reaper")
        assert (code, json.loads(out)["stopped"]) == (0, 6), one.said("reaper")
        assert sandbox.sends == dict.fromkeys(sessions, 1)
        assert one.run("reaper")[0] == 0
        assert sandbox.sends == dict.fromkeys(sessions, 1)


# --- the shared queue ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["postgres", "redis"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    started: Engine = Postgres() if request.param == "postgres" else Redis(tmp_path)
    yield started
    started.close()


def test_pods_share_one_queue_and_one_that_goes_leaves_the_rest_to_the_others(engine: Engine) -> None:
    sessions = [session.session_id for session in generate(400, 10)]
    at_work = partial(pod, "queue", secret=engine.url)
    with (
        running_sandbox(list(generate(400, 10)), latency="500ms") as sandbox,
        at_work(sandbox) as one,
        at_work(sandbox) as other,
    ):
        first, second = one.start("reaper"), other.start("reaper")
        eventually(lambda: one.answers("readinessProbe") and other.answers("readinessProbe"))
        # Handed in at one of them, seen by both.
        assert one.run("reaper", ["add", *sessions])[0] == 0
        eventually(lambda: all(len(each.events("session.settled")) > 5 for each in (one, other)), 60)
        first.terminate()
        assert first.wait(timeout=60) == 0, one.said("reaper")
        assert len(sandbox.sends) < len(sessions), "too quick: nothing was left to the other"
        eventually(
            lambda: len(one.events("session.settled")) + len(other.events("session.settled")) == len(sessions), 60
        )
        second.terminate()
        assert second.wait(timeout=60) == 0, other.said("reaper")
        assert sandbox.sends == dict.fromkeys(sessions, 1)
        assert other.run("reaper", ["audit"])[0] == 0
        # The password is part of the URL.
        assert "s3cret" not in one.said("reaper") + other.said("reaper")


def test_a_pod_outlives_its_engine_and_is_not_ready_meanwhile(engine: Engine) -> None:
    (session,) = generate(1, 11)
    with (
        running_sandbox([session]) as sandbox,
        pod("queue", sandbox, secret=engine.url) as one,
        pod("queue", sandbox, secret=engine.url) as late,
    ):
        daemon = one.start("reaper")
        eventually(lambda: one.answers("readinessProbe"))
        engine.kill()
        eventually(lambda: not one.answers("readinessProbe"))
        eventually(lambda: len(one.events("queue.unavailable")) == 1)  # a line is written a turn of the loop later
        eventually(lambda: one.answers("livenessProbe"))  # kubelet, too, asks again
        # One that starts now ends, and is started again by Kubernetes.
        assert late.start("reaper").wait(timeout=60) == 69, late.said("reaper")
        engine.start()
        eventually(lambda: one.answers("readinessProbe"), 60)
        late.start("reaper")
        eventually(lambda: late.answers("readinessProbe"))
        assert late.run("reaper", ["add", session.session_id])[0] == 0
        eventually(lambda: set(sandbox.sends) == {session.session_id})
        daemon.terminate()
        assert daemon.wait(timeout=30) == 0, one.said("reaper")
        assert len(one.events("queue.unavailable")) == len(one.events("queue.recovered")) == 1, one.said("reaper")


def test_a_pod_without_the_variable_makes_no_ledger_of_its_own() -> None:
    with running_sandbox(0) as sandbox, pod("queue", sandbox) as one:
        assert one.start("reaper").wait(timeout=60) == 69
        assert "queue-url-of-the-secret-is-missing" in one.said("reaper")
        assert list((one.folder / "state").iterdir()) == []
