"""docs/security.md: each claim names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reaper

ROOT = Path(reaper.__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CLAIMS = re.findall(r"^\| (.+) \| `([a-z0-9]+/test_\w+\.py)::(test_\w+)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("claim", "file", "test"), CLAIMS, ids=[test for _, _, test in CLAIMS])
def test_a_claim_names_a_test_that_exists(claim: str, file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), claim


def test_what_is_claimed_as_defended_is_claimed_with_a_test() -> None:
    _, _, rest = PAGE.partition("\n## Defended\n")
    defended, found, _ = rest.partition("\n## Not defended\n")
    assert found
    rows = [line for line in defended.splitlines() if line.startswith("|")]
    heads = [line for line in rows if line.startswith(("|---", "| claim |"))]
    assert len(rows) - len(heads) == len(CLAIMS) > 40


def test_each_claim_is_made_once() -> None:
    assert len({claim for claim, _, _ in CLAIMS}) == len(CLAIMS)
