"""The release: what `make dist` builds, installed where nothing else is, and the bill of materials."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import reaper
from tests.support.programs import need

ROOT = Path(__file__).parents[2]
NAME = f"archal_reaper-{reaper.__version__}"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment, from which the index can be reached, without a word about reaper."""
    kept = {name: value for name, value in os.environ.items() if not re.match("REAPER_|ARCHAL_|PYTHON|VIRTUAL_", name)}
    return {**kept, "UV_SYSTEM_CERTS": "1", "XDG_STATE_HOME": str(home / "state")}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def uv() -> str:
    return need("uv")


@pytest.fixture(scope="module")
def dist(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(uv, "build", "--quiet", "--out-dir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"{NAME}-py3-none-any.whl"


def test_an_empty_environment_runs_what_is_installed(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    commands = tmp_path / "venv" / "bin"
    run(commands / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    assert run(commands / "reaper", "--version", cwd=tmp_path) == f"reaper {reaper.__version__}\n"
    assert "515 accepted" in run(commands / "reaper", "demo", cwd=tmp_path)
    assert json.loads(run(commands / "reaper", "config", "schema", cwd=tmp_path))["properties"]["api"]
    assert "_reaper()" in run(commands / "reaper", "completion", "bash", cwd=tmp_path)
    script = "import reaper; print(reaper.__version__, reaper.stop_sessions.__name__, reaper.Summary.__name__)"
    assert run(commands / "python", "-c", script, cwd=tmp_path) == f"{reaper.__version__} stop_sessions Summary\n"
    run(commands / "python", "-m", "pip", "check", cwd=tmp_path)


def test_it_runs_without_being_installed(uv: str, wheel: Path, tmp_path: Path) -> None:
    done = run(uv, "tool", "run", "--isolated", "--from", wheel, "reaper", "--version", cwd=tmp_path)
    assert done == f"reaper {reaper.__version__}\n"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        texts = {name: archive.read(name) for name in names}
    info = f"{NAME}.dist-info"
    tracked = run("git", "ls-files", "reaper", cwd=ROOT).split() if (ROOT / ".git").exists() else []
    assert names >= {"reaper/py.typed", f"{info}/licenses/LICENSE", f"{info}/entry_points.txt", *tracked}
    assert {name.split("/")[0] for name in names} == {"reaper", info}
    entries = texts[f"{info}/entry_points.txt"].decode()
    assert "reaper = reaper.__main__:main" in entries
    assert "[pytest11]\nreaper = reaper.library.pytest.plugin" in entries
    metadata = texts[f"{info}/METADATA"].decode()
    assert "License-Expression: Apache-2.0" in metadata
    needed = {
        re.split(r"[^\w-]", line.split()[1])[0] for line in metadata.splitlines() if line[:14] == "Requires-Dist:"
    }
    assert not needed & {"pytest", "mypy", "mkdocs"}
    here = {str(ROOT), str(wheel.parent), sys.prefix, str(Path.home())} - {"/", ""}
    for name, text in texts.items():
        for path in here:
            assert path.encode() + b"/" not in text, f"{name} names {path}"


def test_the_source_archive_builds_the_same_wheel(uv: str, dist: Path, wheel: Path, tmp_path: Path) -> None:
    run(uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT, cwd=tmp_path)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()
    with tarfile.open(dist / f"{NAME}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "AGENTS.md", "SECURITY.md", "docs/decisions/index.md"}
    build = {"pyproject.toml", "uv.lock", "Makefile", ".ci/run", ".editorconfig", ".pre-commit-config.yaml"}
    assert names >= {*pages, *build, "config/reaper.toml"}
    assert {name.split("/")[0] for name in names} >= {"reaper", "tests", "docs", "systemd", "kubernetes"}


def test_the_bill_of_materials_is_the_lock_file(uv: str) -> None:
    export = ("export", "--quiet", "--frozen", "--no-dev", "--all-extras", "--format", "cyclonedx1.5")
    text = run(uv, *export, cwd=ROOT)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "sbom.py", "1.2.3"], input=text, capture_output=True, text=True, check=True
    )
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/archal-reaper@1.2.3"
    locked = {
        package["name"]: package.get("version")
        for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    }
    found = {part["name"]: part["version"] for part in bill["components"]}
    assert {"anyio", "httpx", "pydantic", "structlog", "rich", "psycopg", "redis", "uvloop"} <= found.keys()
    assert not found.keys() & {"pytest", "mypy", "ruff"}
    assert all(locked[name] == version for name, version in found.items())
    files = [file for part in bill["components"] for file in part["externalReferences"]]
    assert all(file["hashes"] and file["url"].startswith("https://files.pythonhosted.org/") for file in files)
