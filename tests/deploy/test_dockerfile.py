"""The recipe of the image, without building it: the linter, what the builder gets to see, what must agree with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from reaper.cli.commands.health import DEADLINE_S
from reaper.queues.open import EXTRAS
from reaper.settings.schema import Settings
from tests.support.deploy.image_base import ROOT, buildah
from tests.support.programs import need


def test_the_dockerfile_passes_the_linter_without_exceptions() -> None:
    done = subprocess.run(
        [need("hadolint"), "--no-color", "--disable-ignore-pragma", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_dockerfile_and_page_agree_with_the_rest() -> None:
    dockerfile, makefile, page = ((ROOT / name).read_text() for name in ("Dockerfile", "Makefile", "docs/container.md"))
    assert all(re.search(r"--require-hashes -\S+ \S*\buv\.txt\b", text) for text in (dockerfile, makefile))
    assert re.search(r"^uv==[\d.]+ \\\n    --hash=sha256:", (ROOT / "tools/uv.txt").read_text(), flags=re.M)
    settings = Settings()
    keys = {f"REAPER_{section}__{key}".upper() for section, values in settings for key, _ in values}
    named = set(re.findall(r"REAPER_\w+__\w+", page))
    assert len(named) >= 3
    assert named - keys == set()
    waits = [int(seconds) for seconds in re.findall(r"(?:--stop-timeout |stop_grace_period: )(\d+)", page)]
    assert len(waits) == 3
    assert min(waits) >= settings.worker.drain_timeout_s + 10
    (probe,) = re.findall(r"HEALTHCHECK .*--timeout=(\d+)s", dockerfile)
    assert int(probe) > DEADLINE_S + 1


def test_the_image_gets_every_extra_as_it_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    (locked,) = (one["optional-dependencies"] for one in lock["package"] if one["name"] == project["name"])
    syncs = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if "uv sync" in line]
    assert len(syncs) == 2
    for sync in syncs:
        assert "--frozen" in sync
        assert set(re.findall(r"--extra (\S+)", sync)) == project["optional-dependencies"].keys() == locked.keys()
    assert set(EXTRAS.values()) <= locked.keys()


def test_only_what_is_needed_goes_to_the_builder(tmp_path: Path) -> None:
    needed = {"LICENSE", "THIRD-PARTY-NOTICES", "README.md", "pyproject.toml", "uv.lock"}
    needed |= {"reaper/app/wiring.py", "reaper/core/gate.py", "completions/_reaper", "config/reaper.toml"}
    needed |= {"man/reaper.1", "systemd/reaper.service", "tools/uv.txt"}
    kept_back = {
        *(".env", ".git/config", ".venv/bin/python", ".ci/run", "token", "reaper.db", "reaper.toml", "Dockerfile"),
        *(
            "AGENTS.md",
            "SECURITY.md",
            "tools/sbom.py",
            "docs/index.md",
            "tests/test_x.py",
            "reaper/.env",
            "reaper/core/.netrc",
            "reaper/core/__pycache__/x.pyc",
        ),
    }
    context = tmp_path / "context"
    for name in needed | kept_back:
        file = context / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    shutil.copy(ROOT / ".dockerignore", context)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    tool = buildah(tmp_path / "buildah")
    try:
        tool.build(context, "localhost/context")
        root = tool.rootfs("localhost/context")
        assert {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()} == needed
    finally:
        tool.remove()
