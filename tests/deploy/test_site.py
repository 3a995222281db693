"""The site of docs/: it builds without a warning, loads nothing from elsewhere, and fits a phone and a desk."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.programs import need

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?([^\" >]+)|<link\b[^>]*\bhref=\"?([^\" >]+)[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [need("mkdocs"), "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_every_page_is_built_and_found(site: Path) -> None:
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        assert (site / page.relative_to(docs).with_suffix(".html")).exists()
    assert "upgrade.html" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        found = ["".join(pair) for pair in LOADED.findall(page.read_text(encoding="utf-8"))]
        assert len(found) >= 3
        for target in found:
            assert not re.match(r"\w+:|//", target) or target.startswith("data:"), f"{page.name} loads {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(site: Path, tmp_path: Path, width: int) -> None:
    """A wide table or block of code scrolls by itself."""
    need("chromium")
    browser = Browser(tmp_path)
    try:
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        wide = {}
        for page in sorted(site.rglob("*.html")):
            browser.open(page.as_uri())
            browser.until("document.querySelectorAll('.md-typeset__scrollwrap, h1').length > 0")
            over = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                wide[page.name] = over
        assert wide == {}
    finally:
        browser.close()
