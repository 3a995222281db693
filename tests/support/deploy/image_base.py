"""Builds the image as `docker build` would, on a base image made here: no registry and no container engine needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.programs import missing, need

ROOT = Path(__file__).parents[3]
SUITE = "bookworm"
PACKAGES = "python3,python3-venv"
BASE, IMAGE = "localhost/test-base", "localhost/reaper"
CA_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"
LEFT_BY_BASE = ("usr/local/bin/pip3", "usr/local/bin/wheel", "usr/lib/python3.11/site-packages/pip/__init__.py")
"""What python:3.11-slim brings and Debian's own Python does not; put into the base, for the build to take out."""

LABELS = {"VERSION": "9.8.7", "REVISION": "0123abc", "CREATED": "2026-01-02T03:04:05Z"}


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with a storage of its own below `folder`, which `remove` deletes."""

    path: str
    folder: Path

    def __call__(self, *words: str) -> str:
        """Run one command and return what it printed; fails with all that it said."""
        store = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        done = subprocess.run(
            [self.path, *store, "--storage-driver", "vfs", *words],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, f"buildah {words[0]}: {(done.stdout + done.stderr)[-6000:]}"
        return done.stdout

    def build(self, folder: Path, tag: str, *options: str) -> None:
        self("bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "-t", tag, *options, str(folder))

    def rootfs(self, tag: str) -> Path:
        """Return the root directory of a new container of an image."""
        container = self("from", "--pull-never", tag).strip()
        return Path(self("mount", container).strip())

    def inspect(self, tag: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("inspect", "--type", "image", tag))
        return found

    def layers(self, tag: str) -> list[int]:
        """Return the compressed size of each layer in bytes, lowest first, as a registry would hold them."""
        target = self.folder / "pushed"
        self("push", "--quiet", tag, f"oci:{target}:size")
        blobs = target / "blobs" / "sha256"
        index = json.loads((target / "index.json").read_text())
        manifest = json.loads((blobs / index["manifests"][0]["digest"].split(":")[1]).read_text())
        return [layer["size"] for layer in manifest["layers"]]

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def buildah(folder: Path) -> Buildah:
    """Return a buildah that works here, or skip: it needs root for chroot and for the owners of files."""
    path = need("buildah")
    if os.geteuid() != 0:
        missing("root", "is needed to build and enter an image")
    folder.mkdir(parents=True, exist_ok=True)
    return Buildah(path, folder)


def add_base(tool: Buildah) -> None:
    """Make the base image from the cached root file system."""
    tarball = base_tarball()
    recipe = tool.folder / "base.Dockerfile"
    recipe.write_text(f"FROM scratch\nADD {tarball.name} /\n")
    tool.build(tarball.parent, BASE, "--file", str(recipe))


def base_tarball() -> Path:
    """Return a tar file of a Debian with Python, made with debootstrap when the user's cache has none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archal-reaper-tests"
    recipe = hashlib.sha256(f"2 {SUITE} {PACKAGES} {LEFT_BY_BASE}".encode()).hexdigest()[:12]
    kept = cache / f"base-{SUITE}-{recipe}.tar"
    if kept.exists():
        return kept
    debootstrap = need("debootstrap")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        root = Path(folder, "root")
        done = subprocess.run(
            [debootstrap, "--variant=minbase", f"--include={PACKAGES}", SUITE, root],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        if done.returncode != 0:
            missing("debootstrap", f"made no base system: {(done.stdout + done.stderr).strip()[-300:]}")
        _as_published(root)
        fresh = Path(folder, "base.tar")
        out = ["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"]
        subprocess.run(["tar", "-C", root, "--numeric-owner", *out, "-cf", fresh, "."], check=True)
        os.replace(fresh, kept)
    return kept


def _as_published(root: Path) -> None:
    """Make it like the published image of Python: no bytecode of the standard library, and pip."""
    for pattern in ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*_*", "usr/lib/python3*/**/*.pyc"):
        for file in root.glob(pattern):
            file.unlink()
    for name in LEFT_BY_BASE:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o755)


def index_access(folder: Path) -> list[str]:
    """Return build options that hand in how this machine reaches the package index, as its own pip is configured."""
    pip, uv, options = ["[global]"], [], []
    said = pip_settings()
    pip += [f"{key} = {said[key]}" for key in ("index-url", "trusted-host", "proxy") if key in said]
    if "index-url" in said:
        uv.append(f"index-url = {json.dumps(said['index-url'])}")
    bundles = (said.get("cert"), os.environ.get("SSL_CERT_FILE"), os.environ.get("REQUESTS_CA_BUNDLE"))
    for bundle in bundles:
        if bundle and Path(bundle).is_file():
            options += ["--secret", f"id=ca_bundle,src={bundle}"]
            pip.append(f"cert = {CA_IN_IMAGE}")
            uv.append("system-certs = true")
            break
    for name, lines in {"pip_conf": pip, "uv_toml": uv}.items():
        file = folder / name
        file.write_text("".join(f"{line}\n" for line in lines))
        options += ["--secret", f"id={name},src={file}"]
    return options


def pip_settings() -> dict[str, str]:
    """Return the settings of this environment's pip by their bare names; variables win over files, as pip has it."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    pairs = [line.split("=", 1) for line in listed.splitlines() if "=" in line]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    return {name.rsplit(".", 1)[-1]: value.strip("'\"") for name, value in pairs}


def local_names() -> set[bytes]:
    """Return texts that name this machine: its paths, and where its pip looks for packages."""
    names = {str(ROOT), sys.prefix}
    for key in ("index-url", "extra-index-url", "find-links", "proxy"):
        for word in pip_settings().get(key, "").replace("\\n", " ").split():
            names |= {word, urlsplit(word).netloc or urlsplit(word).path}
    public = {"pypi.org", "https://pypi.org/simple"}
    return {name.encode() for name in names - public if len(name) > 5}
