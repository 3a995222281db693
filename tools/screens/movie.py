"""Films `reaper demo` on a real terminal (tmux) as docs/img/demo.svg: `make screens` runs this, too.

The terminal is read ten times a second. The film shows each screen for as long as it stood, at most a second, and the
last one for longer. A browser that is asked for less motion, and a program that knows no animation, show the last one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME as COLOURS
from rich.text import Text

from tools.screens.terminal import ROOT, ROWS, Terminal, stage

MOVIE = ROOT / "docs" / "img" / "demo.svg"
COMMAND = "reaper demo"
COLUMNS = 80
LOOK_S, KEY_S = 0.1, 0.07
MAX_STILL_S, LAST_S = 1.0, 8.0
"""Longest time of a screen, and the time of the last one."""
CELL, LINE, MARGIN, BAR = 8.4, 18, 12, 26
BARS = {"━": (0.0, 1.0), "╸": (0.0, 0.5), "╺": (0.5, 1.0), "─": (0.0, 1.0)}
"""Signs that are drawn as lines, because fonts leave gaps between them: where they begin and end in their cell."""

Frame = tuple[str, float]
"""A screen with its colours (ANSI), and how long it is shown."""


def film(at: Terminal) -> list[Frame]:
    """Type the command, and watch the screen until the prompt is back."""
    seen: list[tuple[float, str]] = []

    def look() -> str:
        shown = at.text("-e")
        if not seen or seen[-1][1] != shown:
            seen.append((time.monotonic(), shown))
        return at.text()

    look()
    for key in COMMAND:
        at.press("-l", key)
        time.sleep(KEY_S)
        look()
    at.press("Enter")
    while not look().endswith("\n$"):
        time.sleep(LOOK_S)
    ends = [*(begin for begin, _ in seen[1:]), seen[-1][0] + LAST_S]
    lengths = [min(end - begin, MAX_STILL_S) for (begin, _), end in zip(seen, ends, strict=True)]
    return [(shown, length) for (_, shown), length in zip(seen, [*lengths[:-1], LAST_S], strict=True)]


def draw(frames: Sequence[Frame], *, rows: int = ROWS) -> str:
    """Return the film as an SVG that moves by itself; lines that come again are drawn once."""
    total = sum(length for _, length in frames)
    lines: dict[str, str] = {}
    shown, rules, begin = [], [], 0.0
    for number, (screen, length) in enumerate(frames):
        uses = []
        for row, line in enumerate(screen.splitlines()[-rows:]):
            if drawn := "".join(_drawn(line)):
                name = lines.setdefault(drawn, f"l{len(lines)}")
                uses.append(f'<use href="#{name}" y="{row * LINE}"/>')
        last = " last" if number == len(frames) - 1 else ""
        shown.append(f'<g class="f{last}" style="animation-name:f{number}">{"".join(uses)}</g>')
        rules.append(f"@keyframes f{number}{{{_keys(begin / total, (begin + length) / total)}}}")
        begin += length
    width, height = COLUMNS * CELL + 2 * MARGIN, rows * LINE + BAR + MARGIN
    dots = "".join(
        f'<circle cx="{MARGIN + 5 + 18 * n}" cy="14" r="5" fill="{fill}"/>'
        for n, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    defined = "\n".join(f'<g id="{name}">{drawn}</g>' for drawn, name in lines.items())
    label = f'role="img" aria-label="{COMMAND} on a terminal"'
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {label}>
<style>
text{{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}
.f{{visibility:hidden;animation:{total:.2f}s step-end infinite}}
.last{{visibility:visible}}
@media (prefers-reduced-motion:reduce){{.f{{animation:none!important}}}}
{chr(10).join(rules)}
</style>
<defs>
{defined}
</defs>
<rect width="{width:g}" height="{height:g}" rx="8" fill="{COLOURS.background_color.hex}"/>
{dots}
<g transform="translate({MARGIN} {BAR})">
{chr(10).join(shown)}
</g>
</svg>
"""


def _keys(begin: float, end: float) -> str:
    """Return the keyframes of a screen that is shown from one share of the film to another."""
    first = "" if begin == 0 else "0%{visibility:hidden}"
    last = "" if end > 0.99999 else f"{end:.4%}{{visibility:hidden}}"
    return f"{first}{begin:.4%}{{visibility:visible}}{last}"


def _drawn(line: str) -> Iterator[str]:
    """Yield the elements of one line of a screen."""
    at = 0
    for text, style, _ in Text.from_ansi(line).render(Console(width=COLUMNS)):
        for part, is_bar in _parts(text):
            if is_bar:
                (begin, _), (_, end) = BARS[part[0]], BARS[part[-1]]
                left, width = (at + begin) * CELL, (len(part) - 1 + end - begin) * CELL
                thick = 1 if part[0] == "─" else 4
                place = f'x="{left:g}" y="{(LINE - thick) / 2:g}" width="{width:g}" height="{thick}"'
                yield f'<rect {place} fill="{_colour(style)}"/>'
            elif part.strip():
                begins = at + len(part) - len(part.lstrip())
                words = part.strip()
                bold = ' font-weight="bold"' if style and style.bold else ""
                yield (
                    f'<text x="{begins * CELL:g}" y="{LINE - 5}" fill="{_colour(style)}"{bold}'
                    f' textLength="{len(words) * CELL:g}">{escape(words)}</text>'
                )
            at += len(part)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text that are bars, and those that are not."""
    part = ""
    for sign in text:
        if part and (sign in BARS) != (part[0] in BARS):
            yield part, part[0] in BARS
            part = ""
        part += sign
    if part:
        yield part, part[0] in BARS


def _colour(style: Style | None) -> str:
    """Return the colour of a text; a dim one is half-way to the background."""
    colour = style.color if style else None
    own = COLOURS.foreground_color if colour is None else colour.get_truecolor(COLOURS)
    if style and style.dim:
        own = type(own)(*((one + other) // 2 for one, other in zip(own, COLOURS.background_color, strict=True)))
    return own.hex


def main() -> None:
    with stage(COLUMNS) as on:
        MOVIE.write_text(draw(film(on.at)), encoding="utf-8")


if __name__ == "__main__":
    main()
