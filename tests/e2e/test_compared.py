"""curl, xargs and reaper in the same trouble: each cell of the first table of docs/compared.md."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from reaper.sandbox.server import Sandbox
from tests.support.compared import Try, each, tried, tries
from tests.support.processes.command import TOKEN
from tests.support.programs import need
from tests.support.sandbox import script

ROWS: dict[str, Callable[[Path], list[str]]] = {}
"""By the first cell of the row."""


def row(name: str) -> Callable[[Callable[[Path], list[str]]], Callable[[Path], list[str]]]:
    def keep(measure: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
        ROWS[name] = measure
        return measure

    return keep


@row("5 of 20 answer 502 twice")
def fails_twice(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        script(one.sandbox, one.ids[:5], "502", "502")
        return one.result(one.run())

    with tries(folder, waits_s=60) as some:
        return each(some, act)


@row("5 of 20 answer 502 six times")
def fails_long(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        script(one.sandbox, one.ids[:5], *["502"] * 6)
        return one.result(one.run())

    with tries(folder, waits_s=60) as some:
        return each(some, act)


@row("5 of 20 are gone: 404")
def gone(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        script(one.sandbox, one.ids[:5], "404")
        return one.result(one.run())

    with tries(folder) as some:
        return each(some, act)


@row("the token has expired: 401")
def expired(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        one.sandbox.do(lambda inside: setattr(inside, "token", "archal_ws_new"))
        return f"{one.result(one.run())}, {len(one.sandbox.deletes)} DELETEs"

    with tries(folder) as some:
        return each(some, act)


@row("a new token comes half-way")
def rotated(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        token = one.home / "token"
        token.write_text(TOKEN)
        one.command.env |= {"ARCHAL_TOKEN": "", "REAPER_API__TOKEN_FILE": str(token)}

        def rotate() -> None:
            one.sandbox.until(lambda inside: len(inside.deletes) >= 100, 30.0)
            one.sandbox.do(lambda inside: setattr(inside, "token", "archal_ws_new"))
            token.write_text("archal_ws_new")

        turn = threading.Thread(target=rotate)
        turn.start()
        code = one.run()
        turn.join()
        return one.result(code)

    with tries(folder, 200, latency="50ms", waits_s=20) as some:
        return each(some, act)


@row("kill -9 half-way, then the same again")
def killed(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        one.killed()
        before = {delete.session_id for delete in one.sandbox.deletes if delete.executed}
        first = len(one.sandbox.deletes)
        code = one.run()
        again = sum(delete.session_id in before for delete in one.sandbox.deletes[first:])
        # A kill loses what was in flight and what waited to be written, less than a half.
        return f"{one.result(code)}, {'asks again for all' if again == len(before) else 'goes on'}"

    with tries(folder, 200, latency="50ms") as some:
        return each(some, act)


@row("an outage of 6 s: 502 to everything")
def outage(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        one.sandbox.do(lambda inside: inside.set_mode("outage"))
        end = threading.Timer(6.0, lambda: one.sandbox.do(lambda inside: inside.set_mode("ok")))
        end.start()
        code = one.run()
        end.join()
        return one.result(code)

    with tries(folder, waits_s=60) as some:
        return each(some, act)


@row("a wrong address: a gateway's 404 in JSON")
def gateway(folder: Path) -> list[str]:
    return wrong(folder, "gateway")


@row("a wrong address: a page with 200")
def page(folder: Path) -> list[str]:
    return wrong(folder, "html200")


def wrong(folder: Path, mode: str) -> list[str]:
    def act(one: Try) -> str:
        one.sandbox.do(lambda inside: inside.set_mode(mode))
        return f"{one.result(one.run())}, {len(one.sandbox.deletes)} DELETEs"

    with tries(folder) as some:
        return each(some, act)


@row("a second run begins while the first works")
def twice(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        first = one.start()
        one.sandbox.until(lambda inside: bool(inside.counters.deletes), 30.0)
        second = one.start()
        for process in (first, second):
            process.communicate()
        code = max(first.returncode, second.returncode)
        return f"{one.result(code)}, {len(one.sandbox.deletes)} DELETEs"

    with tries(folder, latency="400ms") as some:
        return each(some, act)


@row("the same list again the next day")
def again(folder: Path) -> list[str]:
    def act(one: Try) -> str:
        assert one.run() == 0
        before = len(one.sandbox.deletes)
        return f"{one.result(one.run())}, {len(one.sandbox.deletes) - before} DELETEs"

    with tries(folder) as some:
        return each(some, act)


@row("a backlog of 300, and a 429: wait a second")
def throttled(folder: Path) -> list[str]:
    def quiet(inside: Sandbox) -> bool:
        (at,) = [delete.at for delete in inside.deletes if delete.status == 429]
        return not any(0.2 < delete.at - at < 0.9 for delete in inside.deletes)

    def act(one: Try) -> str:
        script(one.sandbox, one.ids[20:21], "429:1")
        code = one.run()
        return f"{one.result(code)}, {'waits' if one.sandbox.do(quiet) else 'sends on'}"

    with tries(folder, 300, latency="100ms") as some:
        return each(some, act)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[str]]]]:
    """Measure four rows at a time: most of each is waiting."""
    need("curl")
    need("xargs")
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(measure, tmp_path_factory.mktemp("row")) for name, measure in ROWS.items()}


@pytest.mark.parametrize("name", ROWS)
def test_the_page_says_what_came_of_it(name: str, measured: dict[str, Future[list[str]]]) -> None:
    assert measured[name].result() == tried()[name]


def test_each_row_of_the_page_is_tried() -> None:
    assert list(tried()) == list(ROWS)
