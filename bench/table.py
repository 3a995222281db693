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
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.clients.kinds import FLOORS

ENOUGH = 1.3
"""A server is not what holds the peers if the floor is so many times as fast as the fastest of them."""
ENOUGH_SHARE = 0.95
"""With a latency nobody can be faster than the ideal: there the floor must come so near to it."""

Row = dict[str, Any]
_MEDIANS = ("rate_per_s", "share", "cpu_us", "peak_mib", "server_busy", "peak_in_flight", "startup_cpu_s")


def about(words: list[str], runs: int, pinned: bool, absent: list[str]) -> dict[str, Any]:
    """Return what must be known to read the figures."""
    versions = {name: version(name) for name in ("archal-reaper", "aiohttp", "httpx", "uvloop")}
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
        "python": platform.python_version(),
        "versions": versions,
        "absent": absent,
    }


def medians(runs: list[Row]) -> dict[str, dict[str, Row]]:
    """Return the medians of each client in each cell, in the order in which they ran."""
    grouped: dict[str, dict[str, list[Row]]] = {}
    for run in runs:
        grouped.setdefault(run["cell"], {}).setdefault(run["client"], []).append(run)
    found: dict[str, dict[str, Row]] = {}
    for cell, clients in grouped.items():
        for client, rows in clients.items():
            states = {row["state"] for row in rows}
            row = dict(rows[0], state=next(s for s in ("failed", "cut off", "complete") if s in states))
            for key in _MEDIANS:
                known = [each[key] for each in rows if each[key] is not None]
                row[key] = statistics.median(known) if known else None
            rates = [each["rate_per_s"] for each in rows]
            row["turns"] = len(rows)
            row["spread"] = (min(rates), max(rates))
            found.setdefault(cell, {})[client] = row
    return found


def server_holds(rows: dict[str, Row], http: str) -> str | None:
    """Return what the floor says of the server for one version of HTTP; None when nobody but the floor was there."""
    peers = [r for r in rows.values() if r["http"] == http and r["client"] not in FLOORS and r["state"] != "failed"]
    if not peers:
        return None
    floor = rows.get("bare" if http == "1.1" else "bare h2")
    if floor is None or floor["state"] != "complete":
        return f"HTTP/{http}: no floor was measured; the server may be what holds the fastest"
    if floor["latency_ms"]:
        told = f"the floor reaches {floor['share']:.2f} of the ideal"
        bound = floor["share"] < ENOUGH_SHARE
    else:
        fastest = max(peers, key=lambda row: float(row["rate_per_s"]))
        times = floor["rate_per_s"] / (fastest["rate_per_s"] or 1)
        told = f"the floor is {times:.1f} × as fast as {fastest['client']}"
        bound = times < ENOUGH
    return f"HTTP/{http}: {'**server-bound**: ' if bound else ''}{told}"


def number(value: float | None, form: str) -> str:
    """Return a figure as text, a dash for one that isn't known."""
    return "–" if value is None else format(value, form)


def cell_table(name: str, rows: dict[str, Row]) -> list[str]:
    first = next(iter(rows.values()))
    secure = "TLS" if first["scheme"] == "tls" else "plain"
    lines = [f"### {secure}, {first['concurrency']} at once, {first['latency_ms']} ms", ""]
    lines += [
        f"Server: {first['server']}. " + "; ".join(filter(None, (server_holds(rows, v) for v in ("1.1", "2")))) + ".",
        "",
    ]
    lines += [
        "| client | HTTP | requests/s | low–high | share of ideal | CPU µs/session | peak MiB | server busy | note |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    most = max(row["turns"] for row in rows.values())
    for client, row in rows.items():
        low, high = row["spread"]
        notes = [] if row["state"] == "complete" else [row["state"]]
        if client.startswith("curl") and row["concurrency"] > 300:
            notes.append("300 in flight, its most")
        if row["turns"] < most:
            notes.append(f"{row['turns']} of {most} turns")
        cells = (
            client, row["http"], number(row["rate_per_s"], ",.0f"), f"{low:,.0f}–{high:,.0f}",
            number(row["share"], ".2f"), number(row["cpu_us"], ",.0f"), number(row["peak_mib"], ".0f"),
            number(row["server_busy"], ".0%"), ", ".join(notes),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def goals(found: dict[str, dict[str, Row]]) -> list[str]:
    """Return a table of what was aimed at; a ratio is only told from complete runs of one cell."""

    def figure(cell: str, client: str, key: str) -> float | None:
        row = found.get(cell, {}).get(client)
        known: float | None = row[key] if row and row["state"] == "complete" else None
        return known

    wanted: list[tuple[str, str, str, str, str | None, float | None]] = [
        ("rate, of aiohttp", "plain/256/0ms", "reaper", "rate_per_s", "aiohttp", 1.0),
        ("rate, of curl", "tls/256/0ms", "reaper", "rate_per_s", "curl", 1.0),
        ("rate, of curl", "tls/256/0ms", "reaper h2", "rate_per_s", "curl", 1.5),
        ("rate, of Go", "plain/256/0ms", "reaper", "rate_per_s", "go", None),
        ("rate, of Go", "tls/256/0ms", "reaper", "rate_per_s", "go", None),
        ("rate, of Go over HTTP/2", "tls/256/0ms", "reaper h2", "rate_per_s", "go h2", None),
    ]
    for where, least in (("256/50ms", 0.95), ("64/100ms", 0.97), ("1000/500ms", 0.9)):
        for scheme, client in (("plain", "reaper"), ("tls", "reaper"), ("tls", "reaper h2")):
            cell = f"{scheme}/{where}"
            wanted.append(("share of the ideal", cell, client, "share", None, least))
            wanted.append(("share, of that without adaptive", cell, f"{client}, adaptive", "share", client, 0.9))
    lines = ["| what | cell | client | wanted | got |", "|---|---|---|--:|--:|"]
    for what, cell, client, key, base, aim in wanted:
        got = figure(cell, client, key)
        if base is not None and got is not None:
            other = figure(cell, base, key)
            got = got / other if other else None
        told = "not measured" if got is None else f"{got:.2f}"
        if got is not None and aim is not None:
            bound = "**server-bound**" in (server_holds(found[cell], found[cell][client]["http"]) or "")
            told += " yes" if got >= aim else " **no**, but server-bound" if bound else " **no**"
        lines.append(f"| {what} | {cell} | {client} | {'–' if aim is None else f'≥ {aim:.2f}'} | {told} |")
    return [*lines, ""]


def page(result: dict[str, Any], plot: Path | None = None, at: Path | None = None) -> str:
    """Return the whole page; `at` is where it will lie, so that it finds the plot."""
    known, found = result["about"], medians(result["runs"])
    names = ", ".join(f"{name} {number}" for name, number in known["versions"].items())
    lines = [
        "# reaper and its peers", "",
        f"Written by `{known['command']}` on {known['on']}: {known['cores']} cores, Python {known['python']}, {names}; "
        f"medians of {known['runs']}. Trust the ratios within one table.", "",
        "reaper is `reaper once` with its ledger on disk and its log in a file; every other client has neither, and "
        "retries nothing. `bare` is no client but the floor: bytes that are written without looking. Rate and share "
        "run from the first DELETE to the last answer, as the server saw it; the ideal is concurrency ÷ latency. CPU "
        "is the client's alone, start-up left out. A client that takes too long is cut off, and its rate is then over "
        "the whole time it had. "
        + ("Client and server have a core each." if known["pinned"] else "Client and server share all cores."), "",
    ]  # fmt: skip
    if known["absent"]:
        lines += [f"Not installed where this ran: {', '.join(known['absent'])}.", ""]
    if plot is not None:
        lines += [f"![the same as a plot]({os.path.relpath(plot, at.parent if at else Path.cwd())})", ""]
    lines += ["## What was aimed at", "", *goals(found), "## Cell by cell", ""]
    for name, rows in found.items():
        lines += cell_table(name, rows)
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())))
