"""The clients that are compared, and the command line of each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
TOKEN = "archal_ws_sandbox"
CURL_MOST = 300
"""curl takes no more for --parallel-max."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one run has to do. `home` is a fresh folder; `authority` is None on plain HTTP."""

    url: str
    host: str
    port: int
    authority: Path | None
    concurrency: int
    ids: Path
    home: Path

    @property
    def trusted(self) -> str:
        return str(self.authority) if self.authority else "-"


@dataclass(frozen=True, slots=True)
class Command:
    """Words, further environment, and the file to read as standard input."""

    words: list[str]
    env: dict[str, str] = field(default_factory=dict)
    stdin: Path | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """One way to stop sessions. `rate` is what it does at most about, so that a slow one gets fewer sessions."""

    name: str
    version: str
    command: Callable[[Job], Command]
    needs: str = ""
    """A program, or a Python module with a dot at its end, without which it is left out."""
    rate: float = 1e9
    widest: int = 1_000_000
    """It isn't run at a higher concurrency."""
    plain: bool = True

    def missing(self) -> bool:
        if self.needs.endswith("."):
            return find_spec(self.needs[:-1]) is None
        return bool(self.needs) and shutil.which(self.needs) is None


def _reaper(version: str, adaptive: bool, job: Job) -> Command:
    env = {
        "XDG_STATE_HOME": str(job.home),
        "ARCHAL_TOKEN": TOKEN,
        "REAPER_API__BASE_URL": job.url,
        "REAPER_API__HTTP": version,
        "REAPER_WORKER__ADAPTIVE": str(adaptive).lower(),
        "REAPER_TELEMETRY__LOG_FORMAT": "json",
    }
    if job.authority:
        env["REAPER_API__CA_FILE"] = str(job.authority)
    words = ["-m", "reaper", "once", "--json", "--concurrency", str(job.concurrency), str(job.ids)]
    return Command([sys.executable, *words], env)


def _script(name: str, job: Job) -> Command:
    words = [str(HERE / name), job.url, job.trusted, TOKEN, str(job.concurrency), str(job.ids)]
    return Command([sys.executable, *words])


def _bare(version: str, job: Job) -> Command:
    target = [version, job.host, str(job.port), job.trusted, TOKEN, str(job.concurrency), str(job.ids)]
    return Command([sys.executable, str(HERE / "bare.py"), *target])


def _urls(job: Job) -> list[str]:
    return [f"{job.url}/api/sessions/{one}" for one in job.ids.read_text().split()]


def _curl(version: str, job: Job) -> Command:
    most = min(job.concurrency, CURL_MOST)
    config = [f'header = "Authorization: Bearer {TOKEN}"', "request = DELETE", "fail", "silent", "show-error"]
    config += ["http2" if version == "2" else "http1.1", "parallel", f"parallel-max = {most}"]
    if job.authority:
        config.append(f'cacert = "{job.authority}"')
    path = job.home / "curl.conf"
    path.write_text("\n".join([*config, *(f"url = {url}" for url in _urls(job))]) + "\n")
    return Command(["curl", "-q", "-K", str(path)])


def _xargs(job: Job) -> Command:
    urls = job.home / "urls"
    urls.write_text("\n".join(_urls(job)) + "\n")
    curl = ["curl", "-q", "-sS", "--fail", "-X", "DELETE", "-H", f"Authorization: Bearer {TOKEN}"]
    if job.authority:
        curl += ["--cacert", str(job.authority)]
    return Command(["xargs", "-n", "1", "-P", str(job.concurrency), *curl], stdin=urls)


def _go(version: str, job: Job) -> Command:
    # The program lies beside the jobs' folders: built once.
    program = job.home.parent / "go-client"
    if not program.exists():
        cache = {"GOCACHE": str(job.home / "cache"), "GO111MODULE": "off", "HOME": str(job.home)}
        build = ["go", "build", "-o", str(program), str(HERE / "main.go")]
        subprocess.run(build, env={"PATH": os.environ["PATH"], **cache}, cwd=job.home, check=True)
    target = [version, job.url, job.trusted, TOKEN, str(job.concurrency), str(job.ids)]
    return Command([str(program), *target])


CLIENTS = (
    Client("bare", "1.1", partial(_bare, "1.1")),
    Client("reaper", "1.1", partial(_reaper, "1.1", False)),
    Client("reaper, adaptive", "1.1", partial(_reaper, "1.1", True)),
    Client("aiohttp", "1.1", partial(_script, "aiohttp_uvloop.py"), "aiohttp.", 5000),
    Client("httpx", "1.1", partial(_script, "httpx_shared.py"), "", 100),
    Client("curl", "1.1", partial(_curl, "1.1"), "curl"),
    Client("xargs curl", "1.1", _xargs, "xargs", 40, 32),
    Client("go", "1.1", partial(_go, "1.1"), "go"),
    Client("bare h2", "2", partial(_bare, "2"), plain=False),
    Client("reaper h2", "2", partial(_reaper, "2", False), plain=False),
    Client("reaper h2, adaptive", "2", partial(_reaper, "2", True), plain=False),
    Client("curl h2", "2", partial(_curl, "2"), "curl", plain=False),
    Client("go h2", "2", partial(_go, "2"), "go", plain=False),
)
