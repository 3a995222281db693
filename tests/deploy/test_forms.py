"""The forms of .github: GitHub takes them, and they ask for what a maintainer needs."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support.programs import need

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FORMS = GITHUB / "ISSUE_TEMPLATE"
SCHEMAS = {
    "github-workflows": sorted((GITHUB / "workflows").glob("*.yml")),
    "dependabot": [GITHUB / "dependabot.yml"],
    "github-issue-config": [FORMS / "config.yml"],
    "github-issue-forms": sorted(path for path in FORMS.glob("*.yml") if path.name != "config.yml"),
}


def check(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Validate against a schema that check-jsonschema brings along."""
    command = [need("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_file_keeps_githubs_schema(schema: str) -> None:
    assert SCHEMAS[schema]
    done = check(schema, *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ("github-workflows", "runs-on:", "runs:"),
        ("dependabot", "default-days: 7", "default-days: week"),
        ("github-issue-config", "blank_issues_enabled", "blank"),
        ("github-issue-forms", "type: textarea", "type: text"),
    ],
)
def test_a_file_that_github_would_refuse_is_found(schema: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Shows that the test above can fail."""
    text = SCHEMAS[schema][0].read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "wrong.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    assert check(schema, tmp_path / "wrong.yml").returncode == 1


def test_every_file_is_held_against_a_schema() -> None:
    assert {path for paths in SCHEMAS.values() for path in paths} == set(GITHUB.rglob("*.yml"))
    assert sorted(path.name for path in GITHUB.rglob("*") if path.is_file() and path.suffix != ".yml") == [
        "pull_request_template.md"
    ]


def test_a_problem_comes_with_its_facts() -> None:
    form = yaml.safe_load((FORMS / "problem.yml").read_text(encoding="utf-8"))
    required = {
        field["attributes"]["label"] for field in form["body"] if field.get("validations", {}).get("required") is True
    }
    assert required >= {"`reaper --version`", "`reaper check --json`", "The exit code", "The log", "The command"}
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    (box,) = next(field["attributes"]["options"] for field in form["body"] if field["type"] == "checkboxes")
    assert box["required"] is True


def test_a_vulnerability_is_led_away_from_the_public() -> None:
    config = yaml.safe_load((FORMS / "config.yml").read_text(encoding="utf-8"))
    home = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
    assert [link["url"] for link in config["contact_links"]] == [f"{home}/security/policy"]
    assert config["blank_issues_enabled"] is False
    assert (ROOT / "SECURITY.md").exists()
