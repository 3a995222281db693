"""Tables of a comparison, from the record of its runs.

.venv/bin/python -m bench.table peers.json
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

BUSY = 0.9
"""A side is the limit where it uses so much of its core."""

Row = dict[str, Any]
_TOLD: dict[str, Callable[[list[float]], float]] = {
    # Of the best turn: a machine has slow modes, which a median of few turns catches or misses.
    "rate_per_s": max,
    "share": max,
    "cpu_us": min,
    **dict.fromkeys(("peak_mib", "server_busy", "client_busy", "peak_in_flight", "startup_cpu_s"), statistics.median),
}


def about(words: list[str], runs: int, pinned: bool, absent: list[str]) -> dict[str, Any]:
    """Return what must be known to read the figures."""
    libraries = ("archal-reaper", "aiohttp", "httpx", "uvloop")
    versions = {name: version(name) for name in libraries if name not in absent}
    for name, asking in (("curl", ["curl", "--version"]), ("go", ["go", "version"])):
        if name not in absent:
            versions[name] = subprocess.run(asking, capture_output=True, text=True, check=True).stdout.split()[
                1 if name == "curl" else 2
            ]
    return {
        "command": shlex.join([".venv/bin/python", "-m", "bench.peers", *words]),
        "on": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[2], 2),
        "pinned": pinned,
        "runs": runs,
        "python": f"{platform.python_version()}{' of the system' if sys.base_prefix == '/usr' else ''}",
        "versions": versions,
        "absent": absent,
    }


def summaries(runs: list[Row]) -> dict[str, dict[str, Row]]:
    """Return the best of each client in each cell, with the quartiles of its rate, in the order in which they ran."""
    grouped: dict[str, dict[str, list[Row]]] = {}
    for run in runs:
        grouped.setdefault(run["cell"], {}).setdefault(run["client"], []).append(run)
    found: dict[str, dict[str, Row]] = {}
    for cell, clients in grouped.items():
        for client, rows in clients.items():
            states = {row["state"] for row in rows}
            row = dict(rows[0], state=next(s for s in ("failed", "cut off", "complete") if s in states))
            for key, pick in _TOLD.items():
                known = [each[key] for each in rows if each[key] is not None]
                row[key] = pick(known) if known else None
            rates = [each["rate_per_s"] for each in rows]
            row["turns"] = len(rows)
            row["quartiles"] = statistics.quantiles(rates, method="inclusive") if len(rates) > 1 else rates * 3
            found.setdefault(cell, {})[client] = row
    return found


def limit_of(row: Row) -> str:
    """Return which side was the limit of a client's turns: the core of the one or of the other, or neither's."""
    sides = [side for side in ("server", "client") if (row[f"{side}_busy"] or 0.0) >= BUSY]
    return " and ".join(sides) or ("the latency" if row["latency_ms"] else "neither")


def number(value: float | None, form: str) -> str:
    """Return a figure as text, a dash for one that isn't known."""
    return "–" if value is None else format(value, form)


def cell_table(name: str, rows: dict[str, Row]) -> list[str]:
    first = next(iter(rows.values()))
    secure = "TLS" if first["scheme"] == "tls" else "plain"
    lines = [f"### {secure}, {first['concurrency']} at once, {first['latency_ms']} ms", ""]
    lines += [
        f"Server: {first['server']}.",
        "",
        "| client | HTTP | best requests/s | quartiles | best share of ideal | least CPU µs/session | peak MiB "
        "| core used: server, client | limit | note |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    most = max(row["turns"] for row in rows.values())
    for client, row in rows.items():
        notes = [] if row["state"] == "complete" else [row["state"]]
        if client.startswith("curl") and row["concurrency"] > 300:
            notes.append("300 in flight, its most")
        if row["turns"] < most:
            notes.append(f"{row['turns']} of {most} turns")
        cells = (
            client, row["http"], number(row["rate_per_s"], ",.0f"),
            " ".join(number(each, ",.0f") for each in row["quartiles"]), number(row["share"], ".2f"),
            number(row["cpu_us"], ",.1f"), number(row["peak_mib"], ".0f"),
            ", ".join(number(row[f"{side}_busy"], ".0%") for side in ("server", "client")), limit_of(row),
            ", ".join(notes),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


@dataclass(frozen=True, slots=True)
class Aim:
    """One figure of one client in one cell, alone or as a ratio to another client's; `least` or `most` is wanted."""

    what: str
    cell: str
    client: str
    key: str
    to: str | None = None
    least: float | None = None
    most: float | None = None

    def line(self, found: dict[str, dict[str, Row]]) -> str:
        """Return the line of the table; it is only told from complete runs of one cell."""
        got = self._figure(found, self.client)
        if self.to is not None and got is not None:
            other = self._figure(found, self.to)
            got = got / other if other else None
        wanted = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}" if self.most is not None else "–"
        told = "not measured" if got is None else f"{got:.2f}" if got < 10 else f"{got:.1f}"
        if got is not None and wanted != "–":
            reached = got >= self.least if self.least is not None else got <= (self.most or 0.0)
            told += " yes" if reached else f" **no** (limit: {limit_of(found[self.cell][self.client])})"
        return f"| {self.what} | {self.cell} | {self.client} | {wanted} | {told} |"

    def _figure(self, found: dict[str, dict[str, Row]], client: str) -> float | None:
        row = found.get(self.cell, {}).get(client)
        known: float | None = row[self.key] if row and row["state"] == "complete" else None
        return known


AIMS = (
    Aim("rate, of curl over HTTP/2", "tls/256/0ms", "reaper h2", "rate_per_s", "curl h2", least=1.4),
    Aim("CPU µs a session", "tls/256/0ms", "reaper h2", "cpu_us", most=45),
    Aim("rate, of curl", "tls/256/0ms", "reaper", "rate_per_s", "curl", least=0.65),
    Aim("CPU µs a session", "tls/256/0ms", "reaper", "cpu_us", most=82),
    Aim("rate, of aiohttp on uvloop", "plain/256/0ms", "reaper", "rate_per_s", "aiohttp", least=1.6),
    Aim("rate, of Go", "tls/256/0ms", "reaper", "rate_per_s", "go"),
    Aim("rate, of Go over HTTP/2", "tls/256/0ms", "reaper h2", "rate_per_s", "go h2"),
    Aim("share of the ideal", "tls/1000/50ms", "reaper h2", "share", least=0.85),
    Aim("share of the ideal", "tls/256/50ms", "reaper", "share", least=0.93),
    Aim("share of the ideal", "tls/256/50ms", "reaper h2", "share", least=0.94),
    *(
        Aim("share of the ideal", f"{s}/64/100ms", c, "share", least=0.97)
        for s, c in (("plain", "reaper"), ("tls", "reaper"), ("tls", "reaper h2"))
    ),
    *(
        Aim("share, of that without adaptive", "tls/256/50ms", f"{c}, adaptive", "share", c)
        for c in ("reaper", "reaper h2")
    ),
    Aim("peak MiB", "tls/1000/50ms", "reaper", "peak_mib", most=110),
    Aim("peak MiB", "tls/1000/50ms", "reaper h2", "peak_mib", most=72),
)


def aims(found: dict[str, dict[str, Row]]) -> list[str]:
    """Return a table of what is aimed at, without the cells that did not run."""
    head = ["| what | cell | client | wanted | got |", "|---|---|---|--:|--:|"]
    return [*head, *(aim.line(found) for aim in AIMS if aim.cell in found), ""]


def page(result: dict[str, Any], plot: Path | None = None, at: Path | None = None) -> str:
    """Return the whole page; `at` is where it will lie, so that it finds the plot."""
    known, found = result["about"], summaries(result["runs"])
    names = ", ".join(f"{name} {number}" for name, number in known["versions"].items())
    lines = [
        "# reaper and its peers", "",
        f"Written by `{known['command']}` on {known['on']}: {known['cores']} cores, Python {known['python']}, {names}; "
        f"{known['runs']} turns of each client, one after another. Trust the ratios within one table.", "",
        "reaper is `reaper once` with its ledger on disk and its log in a file; every other client has neither, and "
        "retries nothing. `bare` is no client but the floor: bytes that are written without looking. Rate and share "
        "run from the first DELETE to the last answer, as the server saw it, and are those of the client's best turn; "
        "the ideal is concurrency ÷ latency. CPU is the client's alone, start-up left out, of the turn that cost "
        f"least. The side that uses {BUSY:.0%} of its core or more is the limit. A client that takes too long is cut "
        "off, and its rate is then over the whole time it had. "
        + ("Client and server have a core each." if known["pinned"] else "Client and server share all cores."), "",
    ]  # fmt: skip
    if known["absent"]:
        lines += [f"Not installed where this ran: {', '.join(known['absent'])}.", ""]
    if plot is not None:
        lines += [f"![the same as a plot]({os.path.relpath(plot, at.parent if at else Path.cwd())})", ""]
    lines += ["## What was aimed at", "", *aims(found), "## Cell by cell", ""]
    for name, rows in found.items():
        lines += cell_table(name, rows)
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())))
