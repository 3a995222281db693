"""The page as HTML: what it may load and run, and that no text becomes markup."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

from reaper.queues.overview import Overview
from reaper.telemetry.page.render import html_page, json_page, template
from tests.support.page import NASTY, NOW, STATS, paused, view


class Seen(HTMLParser):
    """What stands in a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.content: dict[str, str] = {}
        self.texts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.content[self._inside] = self.content.get(self._inside, "") + data
        else:
            self.texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def rendered(**given: object) -> tuple[Seen, dict[str, str]]:
    page = html_page(view(**given))  # type: ignore[arg-type]
    return Seen(page.body.decode()), dict(page.headers)


def test_the_policy_allows_this_script_and_this_style_and_nothing_else() -> None:
    seen, headers = rendered()
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    for kind in ("script", "style"):
        assert seen.tags.count(kind) == 1
        digest = b64encode(sha256(seen.content[kind].encode()).digest()).decode()
        assert policy.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert policy.pop("connect-src") == "'self'"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy.pop("form-action") == "'self'"
    assert policy.keys() == {"default-src", "base-uri", "frame-ancestors", "trusted-types"}
    assert set(policy.values()) == {"'none'"}
    assert headers["X-Frame-Options"] == "DENY"


def test_nothing_is_loaded_from_elsewhere_and_nothing_needs_a_looser_policy() -> None:
    seen, _ = rendered()
    assert not {"link", "img", "iframe", "base", "form", "object"} & set(seen.tags)
    names = {name for name, _ in seen.attributes}
    assert not [name for name in names if name in ("src", "style", "srcset") or name.startswith("on")]
    assert re.findall(r"https?://[^\"'\s]+", template()) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|\beval\b|@import|url\(", template())


def test_no_text_becomes_markup() -> None:
    calm, _ = rendered()
    seen, _ = rendered(pauses=(paused(detail=NASTY),))
    assert seen.tags.count("script") == calm.tags.count("script") == 1
    assert "img" not in seen.tags
    assert any("<img src=x onerror='alert(2)'>" in text for text in seen.texts), "it is shown as it was written"
    assert any("{{state}}" in text for text in seen.texts), "what is filled in is not filled in again"
    assert seen.content == calm.content
    away, _ = rendered(whole=NASTY)
    assert away.tags.count("script") == 1
    assert "img" not in away.tags


def test_every_field_is_filled_and_has_its_element() -> None:
    page_view = view(Overview(STATS, NOW, unproven_gone=1))
    html = html_page(page_view).body.decode()
    assert "{{" not in html
    seen = Seen(html)
    assert page_view.texts.keys() <= set(seen.ids), "the script finds each by its ID"
    assert len(seen.ids) == len(set(seen.ids))
    for name, value in seen.attributes:
        if name in ("aria-labelledby", "aria-describedby"):
            assert value in seen.ids


def test_the_script_is_given_the_same_and_knows_of_which_edition() -> None:
    page_view = view(pauses=(paused(),))
    given = json.loads(json_page(page_view).body)
    assert given["texts"] == page_view.texts
    assert given["notices"][0]["title"] == page_view.notices[0].title
    assert f'data-page="{given["page"]}"' in html_page(page_view).body.decode()
