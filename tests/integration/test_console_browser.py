"""The console in a real browser: with the keyboard, on a narrow screen, without scripts, aloud, in light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reaper.core.model import Outcome, SessionId, State
from tests.support.browser import Steered, steered
from tests.support.console import TOKEN, add, console, fill, hold, settle

pytestmark = pytest.mark.anyio

PAGES = ("", "ids", "ids?state=dead", "dead", "holds", "holds?hold=h1", "ghosts", "session?id=env_422", "act")
ROLES = ("button", "textbox", "searchbox", "checkbox", "link", "table", "form")
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
LONG = "ses-" + "01HAKB8VMABD5B3PC620014542" * 4


async def names(browser: Steered, role: str) -> list[str]:
    """Return the accessible names of the elements of a role, as a screen reader says them."""
    found: Any = await browser.call("Accessibility.getFullAXTree")
    return [
        node.get("name", {}).get("value", "")
        for node in found["nodes"]
        if not node["ignored"] and node["role"]["value"] == role
    ]


async def test_every_page_is_narrow_labelled_and_loads_nothing_strange(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk, steered(tmp_path / "browser") as browser:
        await fill(desk.queue)
        await add(desk.queue, [LONG], source="/var/lib/" + "a-very-long-directory-name/" * 9)
        await browser.call(
            "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=False
        )
        grounds = []
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            await browser.call("Emulation.setEmulatedMedia", features=[feature])
            for page in PAGES if scheme == "light" else ("", "ids"):
                await browser.open(f"http://{desk.where}/{page}")
                assert not await browser.evaluate(WIDE), f"{page} scrolls sideways"
                for role in ROLES if scheme == "light" else ():
                    assert all(await names(browser, role)), f"{page}: a {role} has no name"
                assert await names(browser, "heading")
            grounds.append(await browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(set(grounds)) == 2
        assert browser.browser.errors == []


async def test_without_scripts_everything_can_be_read_and_nothing_acts(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk, steered(tmp_path / "browser") as browser:
        await fill(desk.queue)
        await browser.call("Emulation.setScriptExecutionDisabled", value=True)
        for page in PAGES:
            await browser.open(f"http://{desk.where}/{page}")
            shown = await browser.call("DOM.getDocument", depth=0)
            assert shown["root"]
            assert await names(browser, "button") in ([], ["Go"], ["Filter", "Go"], ["Go", "Filter"]), page
            assert "Your token" not in await names(browser, "textbox")
        await browser.open(f"http://{desk.where}/session?id=env_422")
        assert any("alert(1)" in text for text in await names(browser, "StaticText"))


async def test_an_act_with_the_keyboard_alone(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk, steered(tmp_path / "browser") as browser:
        await add(desk.queue, [f"env_{number}" for number in range(25)])
        await settle(desk.queue, Outcome.FORBIDDEN, 403)
        await browser.open(f"http://{desk.where}/ids?state=dead")

        async def tab_to(script: str) -> None:
            for _ in range(200):
                await browser.press("Tab", 9)
                if await browser.evaluate(f"(() => {{ const at = document.activeElement; return {script}; }})()"):
                    return
            pytest.fail(f"the keyboard does not reach {script}")

        retry = "at.closest('form')?.dataset.act === 'retry' && "
        await tab_to("at.id === 'token'")
        await browser.type(TOKEN)
        await tab_to(retry + "at.name === 'reason'")
        await browser.type("a new right")
        await tab_to(retry + "at.textContent === 'All that fit'")
        await browser.press("Enter", 13)
        await browser.until("document.querySelector('form[data-act=retry] .result').textContent.startsWith('done')")
        assert browser.browser.dialogs == ["Retry: 25 of them?"]
        item = await desk.queue.show(SessionId("env_7"))
        assert item is not None
        assert (item.state, item.by, item.reason) == (State.READY, "ann", "a new right")
        # In the next page of this tab the token is still there; in no cookie and no address.
        await browser.open(f"http://{desk.where}/session?id=env_7")
        assert await browser.evaluate("document.getElementById('token').value") == TOKEN
        assert await browser.evaluate("document.cookie + location.href") == f"http://{desk.where}/session?id=env_7"
        await browser.evaluate("document.getElementById('forget').click()")
        await browser.evaluate("document.querySelector('form[data-act=cancel] input').value = 'no'")
        await browser.evaluate("document.querySelector('form[data-act=cancel] button').click()")
        await browser.until(
            "document.querySelector('form[data-act=cancel] .result').textContent.includes('give your token')"
        )
        assert browser.browser.errors == []


async def test_chosen_rows_and_a_number_that_changed(tmp_path: Path) -> None:
    async with console(tmp_path, admin=True) as desk, steered(tmp_path / "browser") as browser:
        await add(desk.queue, [f"env_{number}" for number in range(4)])
        await hold(desk.queue, "h1", ["env_held"])
        await browser.open(f"http://{desk.where}/ids?state=ready")
        await browser.evaluate(f"sessionStorage.setItem('reaper-token', '{TOKEN}')")
        await browser.open(f"http://{desk.where}/ids?state=ready")
        await browser.evaluate(
            "for (const box of [...document.querySelectorAll('input[name=id]')].slice(1, 3)) box.click()"
        )
        await browser.evaluate("document.querySelector('form[data-act=cancel] input').value = 'two of four'")
        await browser.evaluate("document.querySelector('form[data-act=cancel] button[data-chosen]').click()")
        result = "document.querySelector('form[data-act=cancel] .result').textContent"
        await browser.until(f"{result}.startsWith('done: 2 of 2')")
        counts = await desk.queue.stats()
        assert (counts.ready, counts.settled[Outcome.CANCELLED]) == (2, 2)
        assert browser.browser.dialogs == ["Cancel: 2 of them?"]
