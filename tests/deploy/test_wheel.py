"""The release: what `make dist` builds, installed where nothing else is, and the bill of materials."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import reaper
from reaper.cli.commands.systemd import UNITS
from tests.support.deploy.image_base import local_names
from tests.support.deploy.release import EXPORT, NAME, ROOT, build_release, run
from tests.support.programs import need
from tools.constraints import constraints

SHARED = {
    "completions/reaper.bash": "bash-completion/completions/reaper",
    "completions/_reaper": "zsh/site-functions/_reaper",
    "completions/reaper.fish": "fish/vendor_completions.d/reaper.fish",
    **{str(page.relative_to(ROOT)): f"man/man1/{page.name}" for page in (ROOT / "man").iterdir()},
    **{
        str(file.relative_to(ROOT)): f"reaper/{file.relative_to(ROOT)}"
        for folder in ("config", "systemd")
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
    },
}
"""Files of the repository, and where they are below `share/` in an installation."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def uv() -> str:
    return need("uv")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, the wheel that is built from it, and the constraints file."""
    return build_release(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def pinned(dist: Path) -> Path:
    """The constraints file of the release in `dist`."""
    return dist / "constraints.txt"


@pytest.fixture(scope="module")
def prefix(dist: Path, pinned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel in it, every package pinned and its hash verified."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    options = ("--quiet", "--require-hashes", "--find-links", dist, "-r", pinned)
    run(folder / "bin" / "python", "-m", "pip", "install", *options, cwd=folder)
    return folder


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


# --- the constraints file ---------------------------------------------------------------------------------------------


def test_the_constraints_are_the_lock_file_and_the_release(dist: Path, pinned: Path) -> None:
    text, lock = pinned.read_text(), (ROOT / "uv.lock").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE))
    locked = {one["name"]: one.get("version") for one in tomllib.loads(lock)["package"]}
    assert pins.pop("archal-reaper") == reaper.__version__
    assert {"anyio", "httpx", "apprise", "psycopg-binary", "redis", "uvloop"} <= pins.keys()
    assert not pins.keys() & {"pytest", "mypy", "mkdocs"}
    assert {name: locked[name] for name in pins} == pins
    own, *hashes = re.split(r"^[\w.-]+==.*\n", text, flags=re.MULTILINE)[1:]
    assert own.count("--hash=sha256:") == 2
    assert all("--hash=sha256:" in of_one for of_one in hashes)
    assert all(digest in lock for digest in re.findall(r"sha256:(\w+)", "".join(hashes)))
    assert "://" not in text
    assert [name for name in local_names() if name in pinned.read_bytes()] == []


def test_make_constraints_asks_for_the_same_export() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    assert f"$(BIN)/uv {shlex.join(EXPORT)} " in makefile


@pytest.mark.parametrize("line", ["--index-url https://x.example/simple", "x @ file:///x", "x==1", "-e .", ""])
def test_an_odd_export_is_refused(dist: Path, line: str) -> None:
    with pytest.raises(ValueError, match="export"):
        constraints(line, dist)


def test_a_file_with_another_hash_is_refused(dist: Path, pinned: Path, prefix: Path, tmp_path: Path) -> None:
    whole = re.sub(r"(?<=sha256:)\w", lambda digit: "1" if digit[0] == "0" else "0", pinned.read_text())
    own = whole.partition("aiohappyeyeballs==")[0].rstrip("\\\n")
    (tmp_path / "other.txt").write_text(f"{own}\n")
    words = ("-m", "pip", "install", "--no-deps", "--ignore-installed", "--no-index", "--find-links", dist, "-r")
    done = subprocess.run(
        [prefix / "bin" / "python", *words, tmp_path / "other.txt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr


# --- what an installation has -----------------------------------------------------------------------------------------


def test_the_installation_is_whole_and_stops_sessions(prefix: Path, tmp_path: Path) -> None:
    run(prefix / "bin" / "python", "-m", "pip", "check", cwd=tmp_path)
    assert "35 accepted" in run(prefix / "bin" / "reaper", "demo", "--sessions", "20", cwd=tmp_path)
    run(prefix / "bin" / "python", "-c", "import apprise, psycopg, redis, uvloop", cwd=tmp_path)


def test_the_shared_files_are_below_the_prefix(prefix: Path) -> None:
    share = prefix / "share"
    assert {str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()} >= set(SHARED.values())
    assert {name: (share / place).read_bytes() for name, place in SHARED.items()} == {
        name: (ROOT / name).read_bytes() for name in SHARED
    }


def test_systemd_show_finds_the_units_and_names_this_program(prefix: Path, tmp_path: Path) -> None:
    said = run(prefix / "bin" / "reaper", "systemd", "show", cwd=tmp_path)
    assert re.findall(r"^# (/etc/\S+)$", said, flags=re.MULTILINE) == [f"/etc/systemd/system/{name}" for name in UNITS]
    assert re.findall(r"^ExecStart=(\S+) ", said, flags=re.MULTILINE) == [f"{prefix}/bin/reaper"] * 2
    one = run(prefix / "bin" / "python", "-m", "reaper", "systemd", "show", "reaper.service", cwd=tmp_path)
    unit = one.partition("\n\n")[2] if one.startswith("# the services cannot start ") else one  # a prefix in /tmp
    assert unit == (ROOT / "systemd/reaper.service").read_text().replace("/opt/reaper", str(prefix))
    assert run(prefix / "bin" / "reaper", "systemd", "show", "reaper.toml", cwd=tmp_path) == (
        (ROOT / "systemd/reaper.toml").read_text()
    )


def test_config_init_writes_a_file_that_is_read(prefix: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        assert str(tmp_path / "reaper/reaper.toml") in run(prefix / "bin" / "reaper", "config", "init", cwd=tmp_path)
        said = run(prefix / "bin" / "reaper", "config", "show", cwd=tmp_path)
    assert f"# settings file: {tmp_path}/reaper/reaper.toml" in said
    assert (tmp_path / "reaper/reaper.schema.json").read_text() == (ROOT / "config/reaper.schema.json").read_text()


def test_man_finds_the_pages_beside_the_program(prefix: Path, tmp_path: Path) -> None:
    """man looks in share/man beside each directory of $PATH."""
    script = f"PATH={prefix}/bin:$PATH; unset MANPATH; MANPAGER=cat; export MANPAGER; man -w reaper; man reaper-systemd"
    where, _, page = run(need("sh"), "-c", f"test -x {need('man')}; {script}", cwd=tmp_path).partition("\n")
    assert where == f"{prefix}/share/man/man1/reaper.1"
    assert "reaper systemd show" in page


COMPLETES = {
    "bash": "source {share}/bash-completion/completions/reaper; complete -p reaper; "
    "COMP_WORDS=(reaper systemd sh); COMP_CWORD=2; _reaper; echo ${{COMPREPLY[@]}}",
    "zsh": "fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -d {home}/dump; "
    "print complete $_comps[reaper]; autoload +X _reaper; [[ $functions[_reaper] = *systemd* ]] && print show",
    "fish": "echo complete; complete -C 'reaper systemd sh' | string split -f1 \\t",
}
"""What each shell does with the file where the wheel puts it."""


@pytest.mark.parametrize("shell", COMPLETES)
def test_a_shell_completes(shell: str, prefix: Path, tmp_path: Path) -> None:
    """fish finds its file by itself, as the other two do once their own packages for completion are installed."""
    plain = {"bash": ("--noprofile", "--norc"), "zsh": ("-f",), "fish": ()}[shell]
    script = COMPLETES[shell].format(share=prefix / "share", home=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_DIRS", f"{prefix}/share:/usr/share")
        patch.setenv("HOME", str(tmp_path))
        patch.setenv("PATH", f"{prefix}/bin:{os.environ['PATH']}")
        said = run(need(shell), *plain, "-c", script, cwd=tmp_path).split()
    assert said[0] == "complete"
    assert said[-1] == "show"
    printed = run(prefix / "bin" / "reaper", "completion", shell, cwd=tmp_path)
    (place,) = [place for name, place in SHARED.items() if name.startswith("completions/") and shell in place]
    assert printed == (prefix / "share" / place).read_text()


# --- what is built ----------------------------------------------------------------------------------------------------


def test_it_runs_without_being_installed(uv: str, wheel: Path, tmp_path: Path) -> None:
    done = run(uv, "tool", "run", "--isolated", "--from", wheel, "reaper", "--version", cwd=tmp_path)
    assert done == f"reaper {reaper.__version__}\n"


def test_the_wheel_holds_the_package_the_shared_files_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        texts = {name: archive.read(name) for name in names}
    info, data = f"{NAME}.dist-info", f"{NAME}.data"
    tracked = run("git", "ls-files", "reaper", cwd=ROOT).split() if (ROOT / ".git").exists() else []
    assert names >= {"reaper/py.typed", f"{info}/entry_points.txt", *tracked}
    assert names >= {f"{info}/licenses/{name}" for name in ("LICENSE", "THIRD-PARTY-NOTICES")}
    assert {name.split("/")[0] for name in names} == {"reaper", info, data}
    assert {name for name in names if name.startswith(data)} == {f"{data}/data/share/{one}" for one in SHARED.values()}
    entries = texts[f"{info}/entry_points.txt"].decode()
    assert "reaper = reaper.__main__:main" in entries
    assert "[pytest11]\nreaper = reaper.library.pytest.plugin" in entries
    metadata = texts[f"{info}/METADATA"].decode()
    home = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
    links = set(re.findall(r"\]\(([^)#][^)]*)\)", metadata))  # on the package index there is nothing to be relative to
    raw = home.replace("//github.com/", "//raw.githubusercontent.com/")
    assert {link for link in links if not link.startswith((f"{home}/blob/main/", f"{raw}/main/docs/img/"))} == {
        "https://docs.archal.ai"
    }
    assert len(links) > 20
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
    pages = {
        "LICENSE",
        "THIRD-PARTY-NOTICES",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "AGENTS.md",
        "SECURITY.md",
        "docs/decisions/index.md",
    }
    build = {"pyproject.toml", "uv.lock", "Makefile", ".ci/run", ".editorconfig", ".pre-commit-config.yaml"}
    assert names >= {*pages, *build, "config/reaper.toml"}
    assert {name.split("/")[0] for name in names} >= {"reaper", "tests", "docs", "systemd", "kubernetes"}


def test_the_bill_of_materials_is_the_lock_file(uv: str) -> None:
    export = ("export", "--quiet", "--frozen", "--no-dev", "--all-extras", "--format", "cyclonedx1.5")
    text = run(uv, *export, cwd=ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "tools.sbom", "1.2.3"], cwd=ROOT, input=text, capture_output=True, text=True, check=True
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
    licensed = {part["name"]: part["licenses"] for part in bill["components"]}
    assert licensed["psycopg"] == [{"license": {"id": "LGPL-3.0-only"}}]
    assert licensed["structlog"] == [{"expression": "MIT OR Apache-2.0"}]
    assert all(licensed.values())
    files = [file for part in bill["components"] for file in part["externalReferences"]]
    assert all(file["hashes"] and file["url"].startswith("https://files.pythonhosted.org/") for file in files)
