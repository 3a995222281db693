"""The moving picture of the README: one screen at a time, for as long as it stood."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from tools.screens.movie import LAST_S, MAX_STILL_S, MOVIE, draw

SVG = "{http://www.w3.org/2000/svg}"
BOLD_RED = "\x1b[1;31mfailed <&>\x1b[0m"


def text_of(film: str, number: int) -> list[str]:
    """Return the lines of one screen, from the lines that the film defines."""
    tree = ElementTree.fromstring(film)
    lines = {f"#{group.get('id')}": group for group in tree.find(f"{SVG}defs") or ()}
    screens = [group for group in tree.iter(f"{SVG}g") if "f" in (group.get("class") or "").split()]
    return ["".join(lines[use.get("href") or ""].itertext()) for use in screens[number].iter(f"{SVG}use")]


def times(film: str) -> list[tuple[float, float]]:
    """Return from which share to which each screen is shown."""
    found = []
    for rule in re.findall(r"@keyframes f\d+\{(.*?\})\}\n", film):
        keys = {float(share): state for share, state in re.findall(r"([\d.]+)%\{visibility:(\w+)\}", rule)}
        (begin,) = [share for share, state in keys.items() if state == "visible"]
        found.append((begin, min((share for share in keys if share > begin), default=100.0)))
    return found


def test_each_screen_is_shown_for_its_time_and_no_other_beside_it() -> None:
    film = draw([("$ one", 1.0), ("$ one\ntwo", 3.0), (f"$ one\n\n{BOLD_RED}", 4.0)])
    assert times(film) == [(0.0, 12.5), (12.5, 50.0), (50.0, 100.0)]
    assert [text_of(film, number) for number in range(3)] == [["$ one"], ["$ one", "two"], ["$ one", "failed <&>"]]
    assert film.count("$ one") == 1, "a line that comes again is drawn once"
    assert 'font-weight="bold"' in film
    assert film.count("last") == 2, "the style, and the one screen that shows without animation"


def test_a_bar_is_a_line_of_its_length() -> None:
    film = draw([("━━━╸ 80 %", 1.0)])
    assert '<rect x="0" y="7" width="29.4" height="4"' in film
    assert text_of(film, 0) == ["80 %"]


def test_a_screen_that_is_too_long_shows_its_end() -> None:
    assert text_of(draw([("one\ntwo\nthree", 1.0)], rows=2), 0) == ["two", "three"]


def test_the_film_of_the_readme_is_small_and_ends_with_the_summary() -> None:
    film = MOVIE.read_text(encoding="utf-8")
    assert len(film) < 1_000_000
    assert not re.search(r"<script|https?://(?!www\.w3\.org|127\.0\.0\.1)|/tmp/", film)
    shown = times(film)
    assert [end for _, end in shown[:-1]] == [begin for begin, _ in shown[1:]]
    total_s = LAST_S / (shown[-1][1] - shown[-1][0]) * 100
    assert all((end - begin) * total_s / 100 < MAX_STILL_S + 0.01 for begin, end in shown[:-1])
    assert text_of(film, 0) == ["$"]
    end = "\n".join(text_of(film, -1))
    summary = (Path(MOVIE).parents[1] / "screens" / "demo-finished-80.txt").read_text(encoding="utf-8")
    assert re.findall(r"stopped +\d+", end)[0] in summary
    assert "reaper: what the numbers mean:" in end
