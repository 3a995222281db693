"""A machine with reaper installed as docs/systemd.md says, in a `systemd_box`, and the stand-in as its API."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.deploy.release import build_release
from tests.support.deploy.systemd_box import TOOL, Box, box
from tests.support.docs.blocks import block
from tests.support.eventually import eventually
from tests.support.programs import missing

ROOT = Path(__file__).parents[3]
API = "http://127.0.0.1:8080"
FIRST, SECOND = "archal_ws_first_token_of_the_box", "archal_ws_second_token_of_the_box"
SYSTEM_PYTHON = "/usr/bin/python3"
"""What `python3` is for root on a server, and in the box; not the Python of this environment."""


@dataclass(slots=True)
class Host:
    """A box with reaper in it. `since`: the instant from which on its journal is read."""

    box: Box
    since: float = 0.0

    # --- the docs ---------------------------------------------------------------------------------------------------

    def follow(self, name: str, *, typed: str = "") -> str:
        """Carry out a block of docs/systemd.md as root beside the release's constraints.txt; return what it printed."""
        return self.box.shell(block("docs/systemd.md", name=name), typed=typed)

    def install(self) -> None:
        """Install by the docs; the settings then name the stand-in, which is all that is changed."""
        self.follow("install")
        self.aim()
        self.follow("token", typed=f"{FIRST}\n")

    def aim(self) -> None:
        """Let the settings name the stand-in."""
        self.box.shell(f"""sed -i 's|^#base_url = .*|base_url = "{API}"|' /etc/reaper/reaper.toml""")

    def begin(self) -> None:
        """Go back to what was installed: first token, empty ledger, no drop-in, a new stand-in, nothing started."""
        self.end()
        self.box.shell(
            "rm -rf /etc/systemd/system/reaper*.d /var/lib/reaper/* /var/lib/systemd/timers/* /etc/reaper/*\n"
            "reaper systemd show reaper.toml > /etc/reaper/reaper.toml\n"
            "systemctl daemon-reload"
        )
        self.aim()
        self.follow("token", typed=f"{FIRST}\n")
        self.since = time.time()
        words = f"sandbox --port {API.rpartition(':')[2]} --token {FIRST} --sessions 40".split()
        self.box.run("systemd-run", "--quiet", "--unit=sandbox", "/opt/reaper/bin/reaper", *words)
        eventually(
            lambda: self.box.run("curl", "-sf", f"{API}/_sandbox", expect=None).stdout, what="the stand-in listens"
        )

    def end(self) -> None:
        """Stop all that a test may have started."""
        units = ("reaper", "reaper-once.timer", "reaper-once.service", "sandbox")
        self.box.run("systemctl", "disable", "--quiet", *units[:2], expect=None)
        self.box.run("systemctl", "stop", *units, expect=None)
        self.box.run("systemctl", "reset-failed")

    # --- the API ----------------------------------------------------------------------------------------------------

    def order(self, **wish: str) -> None:
        """Tell the stand-in how to behave from now on."""
        self.box.run("curl", "-sf", "-d", json.dumps(wish), f"{API}/_sandbox")

    def live(self, count: int) -> list[str]:
        """Return IDs of sessions that run at the stand-in."""
        answer = self.box.run("curl", "-sf", "-H", f"Authorization: Bearer {FIRST}", f"{API}/api/sessions")
        found = [one["sessionId"] for one in json.loads(answer.stdout)["sessions"] if one["alive"]]
        assert len(found) >= count
        return found[:count]

    # --- the operator -----------------------------------------------------------------------------------------------

    def operator(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a reaper command as docs/systemd.md advises."""
        return self.box.run("sudo", "-u", "reaper", "reaper", *words, expect=expect)

    def add(self, count: int) -> list[str]:
        """Queue live sessions, due now; return their IDs."""
        ids = self.live(count)
        self.operator("add", *ids)
        return ids

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.operator("status", "--json").stdout)
        return found

    def stopped(self) -> int:
        return int(self.status()["settled"].get("stopped", 0))

    # --- the service ------------------------------------------------------------------------------------------------

    def show(self, unit: str, name: str) -> str:
        return self.box.show(unit, name)

    def drop_in(self, unit: str, text: str) -> None:
        self.box.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.box.run("systemctl", "daemon-reload")

    def journal(self, unit: str) -> str:
        """Return what the journal has of a unit, what systemd wrote about it included."""
        return "\n".join(str(entry["MESSAGE"]) for entry in self.box.journal(unit, self.since))

    def events(self, name: str, unit: str = "reaper") -> list[dict[str, Any]]:
        """Return the log events of a name, each with the PRIORITY that the journal has for its line."""
        found = []
        for entry in self.box.journal(unit, self.since):
            if str(entry["MESSAGE"]).startswith("{"):
                event = json.loads(entry["MESSAGE"])
                if event["event"] == name:
                    found.append(event | {"PRIORITY": entry["PRIORITY"]})
        return found


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """Start a box and install reaper in it; `folder`: an empty directory. Skips where there can be no box."""
    with fresh_host(folder) as machine:
        machine.install()
        yield machine


@contextmanager
def fresh_host(folder: Path) -> Iterator[Host]:
    """Start a box that has a release in /srv/clone and has never seen reaper. Skips where there can be no box."""
    shared, release = folder / "shared", folder / "release"
    release.mkdir()
    _copy_release(build_release(release), shared / "clone", shared / "wheels")
    # The box has no network: pip finds there what was fetched outside.
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels", "PIP_CONFIG_FILE": "/dev/null"}
    with box(folder, shared, environ) as there:
        if there.run("which", "sudo", expect=None).returncode != 0:
            there.write(
                "/usr/local/bin/sudo", '#!/bin/sh\nuser="$2"; shift 2\nexec runuser -u "$user" -- "$@"\n', "0755"
            )
        _fetch_packages(folder / "python", shared / "clone", shared / "wheels")
        yield Host(there)


def _copy_release(release: Path, clone: Path, wheels: Path) -> None:
    """Put the constraints file where the reader of the docs has it, and what docs/cron.md takes from a clone."""
    clone.mkdir(parents=True)
    wheels.mkdir()
    shutil.copy(release / "constraints.txt", clone)
    for wheel in release.glob("*.whl"):
        shutil.copy(wheel, wheels)
    shutil.copytree(ROOT / "systemd", clone / "systemd")


def _fetch_packages(place: Path, clone: Path, wheels: Path) -> None:
    """Put what the installation downloads into `wheels`, for the Python that the box has."""
    newer = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    if subprocess.run([SYSTEM_PYTHON, "-c", newer], capture_output=True, check=False).returncode != 0:
        missing(TOOL, f"needs {SYSTEM_PYTHON}, 3.11 or newer, with its venv module")
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", place], check=True, capture_output=True)
    words: list[str | Path] = [place / "bin" / "pip", "download", "--quiet", "--require-hashes"]
    words += ["--find-links", wheels, "--dest", wheels, "-r", clone / "constraints.txt"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
