"""The container image: built from the Dockerfile, searched, and run with a read-only root as its own user.

All in one file, because the tests share one image: building it is the slow part.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reaper import __version__
from reaper.core.errors import Exit
from reaper.sandbox.sessions import generate
from tests.support.deploy.docker_words import asked
from tests.support.deploy.image_base import (
    BASE,
    IMAGE,
    LABELS,
    ROOT,
    Buildah,
    add_base,
    buildah,
    index_access,
    local_names,
)
from tests.support.deploy.image_run import CREDENTIALS, STATE, UID, Pod, Started, pod, write_token
from tests.support.docs.blocks import blocks
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ADDED_MOST_BYTES = 104 * 2**20
"""What the image may add to its base, uncompressed. It is 101 MB: 21 for reaper and what it always needs, 14 for
uvloop, 19 for the drivers of shared queues, some 24 for notifications, the rest for the standard library's bytecode."""
TOKEN = "archal_ws_image_test"
API = "http://127.0.0.1:8080"
PROGRAMS = re.compile(r"(pip|uv|uvx|wheel|easy_install|hatch|gcc|cc|g\+\+|c\+\+|cpp|ld|as|make|cargo|git)(-?\d[\d.]*)?")
PACKAGES = re.compile(r"(pip|uv|setuptools|pkg_resources|wheel|hatchling|ensurepip)(-.*-info)?")
"""Names of what installs or builds software, with a version or without: in a bin directory, and where Python looks."""


@dataclass(frozen=True, slots=True)
class Built:
    """The image, its root file system, and what `docker inspect` calls its Config."""

    tool: Buildah
    rootfs: Path
    config: dict[str, Any]

    def files(self, place: str = "") -> Iterator[Path]:
        return (path for path in (self.rootfs / place).rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    tool = buildah(tmp_path_factory.mktemp("image") / "buildah")
    try:
        add_base(tool)
        arguments = [f"--build-arg={name}={value}" for name, value in {"BASE": BASE, **LABELS}.items()]
        tool.build(ROOT, IMAGE, *arguments, *index_access(tool.folder))
        yield Built(tool, tool.rootfs(IMAGE), tool.inspect(IMAGE)["Docker"]["config"])
    finally:
        tool.remove()


@pytest.fixture
def ephemeral(image: Built, tmp_path: Path) -> Iterator[Pod]:
    """A pod with nothing but a tmpfs to write to."""
    with pod(image.rootfs, image.config, tmp_path, state=False) as opened:
        yield opened


@pytest.fixture
def lasting(image: Built, tmp_path: Path) -> Iterator[Pod]:
    """A pod with a volume for the ledger, and settings for the stand-in API at `API`."""
    with pod(image.rootfs, image.config, tmp_path, state=True) as opened:
        opened.env |= {"REAPER_API__BASE_URL": API, "REAPER_API__TOKEN_FILE": f"{CREDENTIALS}/archal-token"}
        yield opened


def test_the_image_says_how_to_run_it(image: Built) -> None:
    config = image.config
    assert (config["Entrypoint"], config["Cmd"]) == (["reaper"], ["run"])
    assert (config["User"], config["StopSignal"], config["WorkingDir"]) == (f"{UID}:{UID}", "SIGTERM", STATE)
    assert list(config["Volumes"]) == [STATE]
    assert config["Healthcheck"]["Test"] == ["CMD", "reaper", "health"]
    environ = dict(pair.split("=", 1) for pair in config["Env"])
    assert environ.pop("PATH").startswith("/opt/reaper/bin:")
    assert environ == {
        "HOME": STATE,
        "STATE_DIRECTORY": STATE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
    }
    labels = {name.rsplit(".", 1)[-1]: value for name, value in config["Labels"].items() if "opencontainers" in name}
    assert labels.pop("description")
    assert labels == {"title": "reaper", "licenses": "Apache-2.0"} | {k.lower(): v for k, v in LABELS.items()}


def test_nothing_in_it_can_install_or_build(image: Built) -> None:
    paths = [path.relative_to(image.rootfs) for path in image.rootfs.rglob("*")]
    programs = [path for path in paths if path.parent.name in ("bin", "sbin") and PROGRAMS.fullmatch(path.name)]
    in_python = [path for path in paths if re.search("python3|-packages", str(path.parent))]
    packages = [path for path in in_python if PACKAGES.fullmatch(path.name)]
    wheels = [path for path in paths if path.suffix == ".whl"]
    assert (programs, packages, wheels) == ([], [], [])


def test_nothing_in_it_tells_of_the_machine_that_built_it(image: Built) -> None:
    local = local_names()
    assert local
    assert [(file, name) for file in image.files("opt") for name in local if name in file.read_bytes()] == []
    whole = json.dumps(image.tool.inspect(IMAGE)).encode()
    assert [name for name in local if name in whole] == []
    for name in ("etc/pip.conf", "etc/uv", "root/.config", "root/.cache", "src", "run/secrets"):
        assert not (image.rootfs / name).exists(), name
    origins = [json.loads(file.read_text())["url"] for file in image.files("opt") if file.name == "direct_url.json"]
    assert origins == ["file:///src"]


def test_each_package_of_others_has_its_license_text_in_it(image: Built) -> None:
    infos = list(image.rootfs.glob("opt/reaper/lib/python3.*/site-packages/*.dist-info"))
    texts = {
        info.name.partition("-")[0]: {file.name for file in info.rglob("*") if file.name.startswith(("LICEN", "THIRD"))}
        for info in infos
    }
    assert texts["archal_reaper"] == {"LICENSE", "THIRD-PARTY-NOTICES"}
    assert {"psycopg", "psycopg_binary", "httpx", "redis", "apprise"} <= texts.keys()
    assert [name for name, found in texts.items() if not found] == []


def test_only_the_state_directory_belongs_to_its_user(image: Built) -> None:
    owned = [path for path in image.rootfs.rglob("*") if path.lstat().st_uid == UID]
    assert [str(path.relative_to(image.rootfs)) for path in owned] == [STATE[1:]]
    open_to_all = [file for file in image.files("opt") if file.stat().st_mode & 0o022]
    assert open_to_all == []


def test_it_is_small(image: Built, capsys: pytest.CaptureFixture[str], record_property: Any) -> None:
    base = image.tool.rootfs(BASE)
    before, after = (_bytes(root) for root in (base, image.rootfs))
    *_, own = image.tool.layers(IMAGE)
    size = (
        f"{after / 1e6:.1f} MB, {(after - before) / 1e6:.1f} MB more than its base; {own / 1e6:.1f} MB to pull for it"
    )
    record_property("image_size", size)
    with capsys.disabled():
        print(f"\nthe image: {size}")
    assert 5 * 2**20 < after - before < ADDED_MOST_BYTES


def test_every_module_comes_with_bytecode(ephemeral: Pod) -> None:
    code = """
import importlib, os, pkgutil, sys, reaper
for found in pkgutil.walk_packages(reaper.__path__, "reaper."):
    if found.name != "reaper.library.pytest.plugin":  # imported by pytest alone, which has no business in the image
        importlib.import_module(found.name)
def stale(file):
    # The second word of a bytecode file is 1 when it is never compared with its source (PEP 552).
    return not os.path.exists(file) or open(file, "rb").read(8)[4:] != b"\\1\\0\\0\\0"
files = [file for module in list(sys.modules.values()) if (file := getattr(module, "__cached__", None))]
assert len(files) > 300, len(files)
print([file for file in files if stale(file)])
"""
    assert ephemeral.python(code) == "[]\n"


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0"])
def test_it_has_the_drivers_of_shared_queues(ephemeral: Pod, url: str) -> None:
    done = ephemeral.run("status", "--queue", url)
    assert done.returncode == Exit.UNAVAILABLE, done.stderr
    assert "127.0.0.1:1" in done.stderr


def test_it_runs_as_a_user_that_can_write_nothing_but_its_state(ephemeral: Pod) -> None:
    assert ephemeral.run("--version").stdout == f"reaper {__version__}\n"
    assert ephemeral.run("id", entrypoint=False).stdout.split()[:2] == [f"uid={UID}(reaper)", f"gid={UID}(reaper)"]
    status = ephemeral.run("cat", "/proc/self/status", entrypoint=False).stdout
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    code = (
        "import os\n"
        "def writable(place):\n"
        "    try: open(place + '/x', 'w').close()\n"
        "    except OSError as error: return error.strerror\n"
        f"print([writable(place) for place in ('/opt/reaper', '/tmp', '{STATE}')], os.getpid())"
    )
    assert ephemeral.python(code) == "['Read-only file system', 'Read-only file system', None] 1\n"


def test_the_demo_runs_with_a_tmpfs_alone(ephemeral: Pod) -> None:
    done = ephemeral.run("demo", "--sessions", "60", timeout_s=120)
    assert done.returncode == 0, done.stderr
    assert "75 accepted" in done.stdout
    assert "of this account no session is left at the stand-in" in done.stderr


def test_the_daemon_is_probed_fed_and_given_a_new_token(lasting: Pod, tmp_path: Path) -> None:
    token = tmp_path / "credentials" / "archal-token"
    write_token(token, "archal_ws_expired")
    ids = [session.session_id for session in generate(20, 3)]
    assert lasting.run("health").returncode == 1
    with ExitStack() as stack:
        _start_api(stack, lasting, tmp_path)
        daemon = stack.enter_context(lasting.started(log=tmp_path / "daemon.log"))
        eventually(lambda: lasting.run("health").returncode == 0)
        assert lasting.run("add", *ids).returncode == 0
        eventually(lambda: [pause["reason"] for pause in _status(lasting)["pauses"]] == ["credentials"])
        assert _status(lasting)["settled"].get("stopped", 0) == 0

        write_token(token, TOKEN)
        eventually(lambda: _status(lasting)["settled"].get("stopped") == len(ids), 60)
        assert daemon.process.poll() is None
    assert lasting.run("audit").returncode == 0
    assert (tmp_path / "state" / "reaper.db").stat().st_uid == UID


def test_the_commands_of_the_page_run(image: Built, tmp_path: Path) -> None:
    """Those of docs/container.md that start something, in its order; what the engine does around them is not tried."""
    (tmp_path / "ids.txt").write_text("".join(f"{one.session_id}\n" for one in generate(20, 3)))
    lines = [step.command for one in blocks("docs/container.md") for step in one.steps]
    whole = [line for line in lines if line.startswith("docker") and "…" not in line and "docker build" not in line]
    (start,) = [line for line in whole if line.startswith("docker run -d")]
    (after_upgrade,) = [line for line in lines if line.startswith("docker run -d") and "…" in line]
    whole.insert(whole.index("docker stop reaper && docker rm reaper") + 1, start)  # as the page says there
    assert lines.index(after_upgrade) == lines.index("docker stop reaper && docker rm reaper") + 1
    calls = [call for line in whole for call in asked(line, tmp_path)]
    with pod(image.rootfs, image.config, tmp_path, state=True) as opened, ExitStack() as stack:
        write_token(tmp_path / "credentials" / "archal-token", TOKEN)
        _start_api(stack, opened, tmp_path)
        daemon: Started | None = None
        for number, call in enumerate(calls):
            env = call.environ | {"REAPER_API__BASE_URL": API}
            if call.verb == "stop" and daemon is not None:
                daemon.signal_first(signal.Signals[opened.config["StopSignal"]])
                assert daemon.process.wait(timeout=25) == 0, daemon.said()
                daemon = None
            elif call.detached:
                assert f"/etc/reaper/credentials:{CREDENTIALS}:ro" in call.volumes
                assert f"reaper-ledger:{STATE}" in call.volumes
                opened.env |= env  # what `exec` has, too
                daemon = stack.enter_context(opened.started(log=tmp_path / f"{number}.log"))
                eventually(lambda: opened.run("health").returncode == 0)
            elif call.verb in ("run", "exec"):
                entry = call.verb == "run"
                done = opened.run(*call.words, entrypoint=entry, typed=call.typed, env=env, timeout_s=120)
                assert done.returncode == 0, f"{call}\n{done.stdout}{done.stderr}"
        assert daemon is None, "the page stops what it starts"
        assert _status(opened)["settled"]["stopped"] == 20
        assert opened.run("audit").returncode == 0
    assert len(list((tmp_path / "state").glob("before-*.db"))) == 1


def test_as_process_1_it_drains_on_the_signal_that_the_image_names(lasting: Pod, tmp_path: Path) -> None:
    write_token(tmp_path / "credentials" / "archal-token", TOKEN)
    ids = [session.session_id for session in generate(20, 3)]
    with ExitStack() as stack:
        _start_api(stack, lasting, tmp_path, "--latency", "2s")
        settings = {"REAPER_WORKER__CONCURRENCY": "4", "REAPER_WORKER__ADAPTIVE": "false"}
        daemon = stack.enter_context(lasting.started(log=tmp_path / "daemon.log", env=settings))
        assert lasting.run("add", *ids).returncode == 0
        eventually(lambda: _status(lasting)["in_flight"] == 4, 60)
        daemon.signal_first(signal.Signals[lasting.config["StopSignal"]])
        assert daemon.process.wait(timeout=25) == 0, daemon.said()
        assert "reaper.exited" in daemon.said()
    after = _status(lasting)
    assert after["in_flight"] == 0
    assert after["settled"]["stopped"] >= 4
    assert after["settled"]["stopped"] + after["ready"] + after["delayed"] == len(ids)
    assert lasting.run("audit").returncode == 0


def _start_api(stack: ExitStack, opened: Pod, folder: Path, *options: str) -> None:
    words = ("sandbox", "--port", "8080", "--token", TOKEN, "--sessions", "20", "--seed", "3", *options)
    api = stack.enter_context(opened.started(*words, log=folder / "api.log"))

    def listens() -> bool:
        assert api.process.poll() is None, api.said()
        return "listens on" in api.said()

    eventually(listens)


def _status(opened: Pod) -> dict[str, Any]:
    # Asked of the daemon: the only one that knows its pauses.
    done = opened.run(
        *(
            "python",
            "-c",
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9464/status').read().decode())",
        ),
        entrypoint=False,
    )
    if done.returncode != 0:
        done = opened.run("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _bytes(root: Path) -> int:
    """Return the size of a tree, each file counted once however many names it has."""
    found = [path.lstat() for path in root.rglob("*")]
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in found}.values())
