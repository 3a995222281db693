"""The console over a real socket and a real ledger: what it shows, and what it keeps to itself."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest

from reaper.core.discovery.ghosts import KEY as GHOSTS
from reaper.core.model import Outcome
from reaper.telemetry.http import server
from reaper.telemetry.page import console as pages
from tests.support.console import add, console, fill, settle
from tests.support.http.ask import ask
from tests.support.page import NASTY

pytestmark = pytest.mark.anyio

WITH_IDS = ("/ids", "/dead", "/holds", "/ghosts", "/session?id=env_ok", "/search?q=env_ok")
ANY_ID = re.compile(r"env_\w+")


class Words(HTMLParser):
    """The texts of a page, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data


async def test_without_page_ids_there_is_no_id_anywhere(tmp_path: Path) -> None:
    async with console(tmp_path, page_ids=False) as desk:
        await fill(desk.queue)
        for path in WITH_IDS:
            status, body = await desk.get(path)
            assert (status, ANY_ID.findall(body)) == (404, [])
        for path in ("/", "/page.json", "/status", "/metrics", "/livez", "/readyz"):
            status, body = await desk.get(path)
            assert (status, ANY_ID.findall(body)) == (200, [])
        _, body = await desk.get("/")
        assert not {"form", "input"} & set(Words(body).tags)


async def test_a_reload_shows_and_hides_the_pages(tmp_path: Path) -> None:
    async with console(tmp_path, page_ids=False) as desk:
        assert (await desk.get("/ids"))[0] == 404
        object.__setattr__(desk.settings, "page_ids", True)
        assert (await desk.get("/ids"))[0] == 200
        assert 'href="dead"' in (await desk.get("/"))[1]


@pytest.mark.parametrize("path", WITH_IDS)
async def test_no_other_site_reads_the_ids(tmp_path: Path, path: str) -> None:
    async with console(tmp_path) as desk:
        first, _, body = await ask(desk.where, f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
        assert first.split()[1] == "421"
        assert b"env_" not in body


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", "env_flying env_ready env_late_1 env_late_2 env_403_0 env_403_1 env_403_2 env_422"),
        ("state=ready", "env_ready"),
        ("state=scheduled", "env_late_1 env_late_2"),
        ("state=in_flight", "env_flying"),
        ("state=dead", "env_403_0 env_403_1 env_403_2 env_422"),
        ("outcome=rejected", "env_422"),
        ("status=403", "env_403_0 env_403_1 env_403_2"),
        ("source=later", "env_late_1 env_late_2"),
        ("state=dead&source=srv", "env_422"),
        ("message=session+ID+belongs+to+somebody+else", "env_403_0 env_403_1 env_403_2"),
        ("state=retrying", ""),
    ],
)
async def test_a_list_has_what_its_fields_say(tmp_path: Path, query: str, ids: str) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        status, body = await desk.get(f"/ids?{query}")
        assert status == 200
        assert re.findall(r'href="session\?id=(\w+)"', body) == ids.split()


@pytest.mark.parametrize(
    "query",
    ["state=odd", "outcome=stopped", "page=0", "page=x", "page=101", "state=ready&outcome=rejected", "page=²"],
)
async def test_unfit_fields_are_a_page_that_says_so(tmp_path: Path, query: str) -> None:
    async with console(tmp_path) as desk:
        status, body = await desk.get(f"/ids?{quote(query, safe='=&')}")
        assert status == 404
        assert "There is no such page" in body


async def test_ten_thousand_dead_letters_are_paged_and_grouped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "QUEUE_TIMEOUT_S", 60.0)  # a fraction of a second, but not on every busy machine
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 60.0)
    async with console(tmp_path) as desk:
        await add(desk.queue, [f"env_{number:05}" for number in range(10_000)])
        await settle(desk.queue, Outcome.FORBIDDEN, 403, "no right to {id}", limit=256)
        await settle(desk.queue, Outcome.EXHAUSTED, None, "gave up")
        _, body = await desk.get("/dead")
        words = Words(body).text
        assert "10,000 dead letters in 2 groups" in words
        assert "no right to ID" in words
        assert "9,744" in words
        status, body = await desk.get("/ids?state=dead&page=100")
        assert (status, body.count('href="session?id=')) == (200, 100)
        assert "env_09999" in body
        assert 'page=99"' in body


async def test_a_group_leads_to_its_letters(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        _, body = await desk.get("/dead")
        assert " ago" in body
        assert not re.search(r">(\d+ \w) to \1 ago", body)
        for path, count in zip(
            map(unescape, re.findall(r'href="(ids\?state=dead&amp;[^"]*)"', body)), (3, 1), strict=True
        ):
            status, letters = await desk.get(f"/{path}")
            assert (status, letters.count('href="session?id=')) == (200, count)


async def test_the_story_of_one_id(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        _, body = await desk.get("/session?id=env_403_1")
        words = Words(body).text
        assert "send 1" in words
        assert "403 after 0.250 s" in words
        assert words.index("from ids.txt") < words.index("send 1") < words.index("belongs to somebody else")
        assert "sudo -u reaper reaper show env_403_1 --profile staging" in words
        assert (await desk.get("/session?id=env_none"))[0] == 404
        assert (await desk.get("/session?id=a/b"))[0] == 404


async def test_a_search_finds_an_id_a_held_one_and_a_source(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        assert "send 1" in (await desk.get("/search?q=+env_ok+"))[1]
        held = Words((await desk.get("/search?q=env_held_2"))[1]).text
        assert "A guard holds the sweep that chose it as expired" in held
        for text in ("later.txt", "later%2F..%2F", "%3Cscript%3E"):
            status, body = await desk.get(f"/search?q={text}")
            assert status == 200
            assert ("env_late_1" in body) == (text == "later.txt")


async def test_a_hold_shows_what_it_holds_and_why(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        words = Words((await desk.get("/holds"))[1]).text
        assert "2 of 2 live sessions" in words
        whole = Words((await desk.get("/holds?hold=h1&page=7"))[1]).text
        assert "env_held_1" in whole
        assert "2 expired" in whole
        assert "reaper approve h1 --reason TEXT" in whole
        assert (await desk.get("/holds?hold=h2"))[0] == 404


async def test_ghosts_are_named(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        assert "No session lives on" in (await desk.get("/ghosts"))[1]
        await desk.queue.compare_and_set(GHOSTS, '{"first": {"env_g": 1800000000.0}, "proven": ["env_g"]}', was=None)
        await anyio.sleep(1.1)  # what was read is shown for a second
        assert "2027-01-15 08:00:00Z" in (await desk.get("/ghosts"))[1]


async def test_no_text_becomes_markup(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        await fill(desk.queue)
        calm = Words((await desk.get("/holds"))[1])
        nasty = quote(NASTY)
        for path in (
            "/ids",
            "/dead",
            "/session?id=env_422",
            f"/search?q={nasty}",
            f"/ids?source={nasty}&message={nasty}",
        ):
            _, body = await desk.get(path)
            seen = Words(body)
            assert "img" not in seen.tags
            assert seen.tags.count("script") == calm.tags.count("script") == 1
            assert "alert(1)" in seen.text + body, "it is shown as it was written"
            assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in body


async def test_the_history_outlives_a_reaper_and_is_that_of_all(tmp_path: Path) -> None:
    async with console(tmp_path, page_ids=False) as desk:
        await add(desk.queue, [f"env_{number}" for number in range(3)])
        await settle(desk.queue, Outcome.STOPPED, 204)
    async with console(tmp_path, page_ids=False) as first, console(tmp_path, page_ids=False) as second:
        await add(second.queue, ["env_9"])
        await settle(second.queue, Outcome.REJECTED, 422)
        for desk in (first, second):
            await desk.queue.heartbeat(8, [])
        for desk in (first, second):
            words = Words((await desk.get("/"))[1]).text
            assert "stopped 3" in words
            assert "rejected 1" in words
            assert "95 of 100 within" in words
            assert "2 reapers on 1 host" in words
