"""The plot of a comparison, from the record of its runs: an SVG that needs no library.

    .venv/bin/python -m bench.plot peers.json docs/img/peers.svg

One panel for each latency, plain above TLS: requests a second without latency, on a logarithmic scale, else the share
of the ideal. In each panel the clients stand side by side for every concurrency.
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

from bench.table import Row, summaries

_COLOURS = {
    "bare": "#c8c8c8", "reaper": "#0b5fa5", "reaper, adaptive": "#6fa8d6", "aiohttp": "#e69f00", "httpx": "#d55e00",
    "curl": "#009e73", "xargs curl": "#666666", "go": "#cc79a7", "bare h2": "#e2e2e2", "reaper h2": "#1d2f6f",
    "reaper h2, adaptive": "#8a94c9", "curl h2": "#7fd1b9", "go h2": "#e7b9d0",
}  # fmt: skip
_WIDE, _HIGH, _LEFT, _TOP, _GAP = 330, 200, 60, 56, 56


def svg(result: dict[str, Any]) -> str:
    """Return the drawing of all that was measured."""
    rows = [
        row for clients in summaries(result["runs"]).values() for row in clients.values() if row["state"] != "failed"
    ]
    schemes = [scheme for scheme in ("plain", "tls") if any(row["scheme"] == scheme for row in rows)]
    latencies = sorted({row["latency_ms"] for row in rows})
    names = [name for name in _COLOURS if any(row["client"] == name for row in rows)]
    width = _LEFT + len(latencies) * (_WIDE + _GAP)
    per_line = max(1, (width - _LEFT) // 150)
    legend_at = _TOP + len(schemes) * (_HIGH + _GAP)
    height = legend_at + 22 * -(-len(names) // per_line) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(_LEFT, 20, "DELETEs of reaper and its peers, by sessions at once", "start", 15),
    ]
    for down, scheme in enumerate(schemes):
        for across, latency in enumerate(latencies):
            here = [row for row in rows if row["scheme"] == scheme and row["latency_ms"] == latency]
            if here:
                parts += _panel(here, _LEFT + across * (_WIDE + _GAP), _TOP + down * (_HIGH + _GAP), names)
    for number, name in enumerate(names):
        x, y = _LEFT + number % per_line * 150, legend_at + number // per_line * 22
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_COLOURS[name]}"/>')
        parts.append(_text(x + 18, y + 10, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _panel(rows: list[Row], left: float, top: float, names: list[str]) -> list[str]:
    latency = rows[0]["latency_ms"]
    if latency:
        title, ticks = f"{latency} ms: share of the ideal", [0.0, 0.25, 0.5, 0.75, 1.0]
    else:
        highest = math.ceil(math.log10(max(max(row["rate_per_s"] for row in rows), 10.0)))
        title, ticks = "0 ms: requests a second", [10.0**power for power in range(1, highest + 1)]

    def y_of(value: float) -> float:
        part = min(value, 1.0) if latency else math.log10(max(value, 1.0)) / math.log10(ticks[-1])
        return top + _HIGH * (1 - part)

    found = [_text(left, top - 8, f"{'TLS' if rows[0]['scheme'] == 'tls' else 'plain'}, {title}", "start", 12)]
    for tick in ticks:
        y = y_of(tick)
        found.append(f'<line x1="{left}" x2="{left + _WIDE}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        found.append(_text(left - 6, y + 4, f"{tick:g}" if latency else f"{tick:,.0f}", "end"))
    groups = sorted({row["concurrency"] for row in rows})
    present = [name for name in names if any(row["client"] == name for row in rows)]
    slot = _WIDE / len(groups)
    bar = slot * 0.88 / len(present)
    for number, concurrency in enumerate(groups):
        begin = left + number * slot + slot * 0.06
        found.append(_text(begin + slot * 0.44, top + _HIGH + 15, str(concurrency), "middle"))
        for row in rows:
            if row["concurrency"] != concurrency:
                continue
            value = float(row["share"] if latency else row["rate_per_s"])
            x, y = begin + present.index(row["client"]) * bar, y_of(value)
            told = f"{row['client']}, {concurrency} at once: " + (f"{value:.2f}" if latency else f"{value:,.0f}/s")
            found.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar * 0.92:.1f}" height="{top + _HIGH - y:.1f}" '
                f'fill="{_COLOURS[row["client"]]}"><title>{escape(told)}</title></rect>'
            )
    return found


def _text(x: float, y: float, words: str, anchor: str, size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222">{escape(words)}</text>'
    )


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(svg(json.loads(source.read_text())))


if __name__ == "__main__":
    main()
