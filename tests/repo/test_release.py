"""What is compared before a release: tag, version, changelog and home."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import reaper
from tools.release import SECTION, checked

ROOT = Path(reaper.__file__).parents[1]
HOME = "https://github.com/someone/reaper"
CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.3] - 2026-01-02

Read [the page](docs/upgrade.md#before) and [another](https://example.org/).

## [1.2.2] - 2026-01-01

- Older.
"""


def release(changelog: str = CHANGELOG, tag: str = "v1.2.3", repository: str = "someone/reaper") -> str:
    return checked(tag, repository, "1.2.3", HOME, changelog)


def test_the_notes_are_the_section_and_their_links_lead_to_the_tag() -> None:
    assert release() == (
        f"Read [the page]({HOME}/blob/v1.2.3/docs/upgrade.md#before) and [another](https://example.org/)."
    )


@pytest.mark.parametrize(
    ("changelog", "tag", "repository", "why"),
    [
        (CHANGELOG, "v1.2.4", "someone/reaper", "the tag must be v1.2.3"),
        (CHANGELOG, "1.2.3", "someone/reaper", "the tag must be v1.2.3"),
        (CHANGELOG, "v1.2.3", "fork/reaper", "this is the repository fork/reaper"),
        (CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n- New.\n"), "v1.2.3", "someone/reaper", "has entries"),
        (CHANGELOG.replace("## [Unreleased]\n", ""), "v1.2.3", "someone/reaper", "does not begin"),
        (CHANGELOG.replace(" - 2026-01-02", ""), "v1.2.3", "someone/reaper", "is not `## "),
        (CHANGELOG.replace("1.2.3", "1.2.5"), "v1.2.3", "someone/reaper", "is not `## "),
        (re.sub(r"Read .*\n", "", CHANGELOG), "v1.2.3", "someone/reaper", "says nothing"),
    ],
)
def test_what_does_not_agree_is_not_released(changelog: str, tag: str, repository: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        release(changelog, tag, repository)


def test_the_home_of_the_project_is_named_in_one_place() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    home = urls["Source"]
    assert all(url == home or url.startswith(f"{home}/") for url in urls.values())
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*")]
    named = {page.name for page in pages if page.is_file() and home in page.read_text(encoding="utf-8")}
    # Their links must be whole, and tests compare them: test_kubernetes_guide, and test_forms.
    assert named == {"kubernetes.md", "config.yml"}, "what kubectl fetches, and the form to choose an issue"


def test_the_changelog_speaks_of_this_version() -> None:
    """What was there before the release of this version is in its section; what came after is under [Unreleased]."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = [match["name"] for match in SECTION.finditer(changelog)]
    assert found[:2] == ["Unreleased", reaper.__version__]
    assert len(found) == len(set(found))
