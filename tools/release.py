"""Compares a tag with what is released, and prints the release notes: `python -m tools.release TAG OWNER/REPOSITORY`.

The workflow of a release runs it before anything is published.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from reaper.core.version import __version__

ROOT = Path(__file__).parents[1]
SECTION = re.compile(r"^## \[(?P<name>[^]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)]+)\)")


def notes(changelog: str, version: str) -> str:
    """Return the changelog's section of a version. Raises ValueError where it is not ready to be released."""
    found = list(SECTION.finditer(changelog))
    ends = [*(match.start() for match in found[1:]), len(changelog)]
    texts = {match["name"]: changelog[match.end() : end].strip() for match, end in zip(found, ends, strict=True)}
    if not found or found[0]["name"] != "Unreleased":
        raise ValueError("CHANGELOG.md does not begin with [Unreleased]")
    if texts["Unreleased"]:
        raise ValueError(f"CHANGELOG.md has entries under [Unreleased]: move them to [{version}]")
    if len(found) < 2 or found[1]["name"] != version or not found[1]["date"]:
        raise ValueError(f"the first section of CHANGELOG.md after [Unreleased] is not `## [{version}] - DATE`")
    if not texts[version]:
        raise ValueError(f"CHANGELOG.md says nothing of {version}")
    return texts[version]


def checked(tag: str, repository: str, version: str, source: str, changelog: str) -> str:
    """Return the release notes, with links that lead to the tag. Raises ValueError with what must be mended first."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, and reaper/core/version.py has {version}: the tag must be v{version}")
    if source != f"https://github.com/{repository}":
        raise ValueError(f"[project.urls] in pyproject.toml names {source}, and this is the repository {repository}")
    return LINK.sub(lambda link: f"]({source}/blob/{tag}/{link['path']})", notes(changelog, version))


def main(arguments: list[str]) -> int:
    tag, repository = arguments
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        text = checked(tag, repository, __version__, project["urls"]["Source"], changelog)
    except ValueError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
