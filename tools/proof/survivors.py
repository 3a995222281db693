"""Keeps the results of the mutants for each room, and writes docs/mutants.md with the reason of each survivor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.proof.equivalent import EQUIVALENT, Key
from tools.proof.outcome import ELSEWHERE, KILLED, NO_MUTANT, NOT_RUN, SURVIVED, TIMEOUT, Result

PAGE = "docs/mutants.md"
BEGIN = "<!-- mutants: written by `make mutate` -->"
END = "<!-- /mutants -->"


def keep(directory: Path, room: str, results: Sequence[Result], total: int, seed: int, *, more: bool = False) -> None:
    """Keep a room's results until it is tried again; with `more`, what was not tried this time stays as it was."""
    directory.mkdir(exist_ok=True)
    file = directory / f"{room}.json"
    tried = [[one.mutant.key, str(one.mutant), one.end, one.by] for one in results]
    if more:
        anew = {one.mutant.key for one in results}
        tried += [one for one in json.loads(file.read_text())["tried"] if tuple(one[0]) not in anew]
    file.write_text(json.dumps({"total": total, "seed": seed, "tried": tried}, indent=1, ensure_ascii=False))


def left(directory: Path, room: str) -> set[Key]:
    """Return the keys of a room's mutants that were left the last time."""
    tried = json.loads((directory / f"{room}.json").read_text())["tried"]
    return {tuple(key) for key, _, end, _ in tried if end in _OPEN}


def _read(file: Path) -> dict[str, Any]:
    kept = json.loads(file.read_text())
    ends = Counter(end for _, _, end, _ in kept["tried"])
    rest = [(name, end, EQUIVALENT.get(tuple(key), "")) for key, name, end, _ in kept["tried"] if end in _OPEN]
    return {
        "killed": ends[KILLED] + ends[TIMEOUT],
        "timeouts": ends[TIMEOUT],
        "tried": ends.total() - ends[NO_MUTANT],
        "total": kept["total"] - ends[NO_MUTANT],
        "seed": kept["seed"],
        "left": sorted(rest, key=lambda one: (bool(one[2]), one[0])),
    }


def table(rooms: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the results of the rooms as they stand in the page."""
    rows = [
        "| room | mutants | tried | killed | of these by a timeout | left | share |",
        "|---|---|---|---|---|---|---|",
    ]
    for room, kept in rooms.items():
        tried, killed = kept["tried"], kept["killed"]
        how = "all" if tried == kept["total"] else f"{tried}, seed {kept['seed']}"
        share = f"{100 * killed / tried:.1f} %" if tried else "–"
        rows.append(
            f"| {room} | {kept['total']} | {how} | {killed} | {kept['timeouts']} | {tried - killed} | {share} |"
        )
    for room, kept in rooms.items():
        if kept["left"]:
            rows += ["", f"### {room[0].upper()}{room[1:]}", "", "| mutant | why it is left |", "|---|---|"]
            rows += [f"| {_cell(name)} | {reason or _OPEN[end]} |" for name, end, reason in kept["left"]]
    return "\n".join(rows)


_OPEN = {SURVIVED: "open: no test fails", NOT_RUN: "open: no test of these rooms runs it", ELSEWHERE: "open: not tried"}


def _cell(name: str) -> str:
    place, _, change = name.partition(": ")
    quoted = " → ".join(f"`` {part} ``".replace("|", "\\|") for part in change.split(" → "))
    return f"{place.removeprefix('reaper/')}<br>{quoted}"


def write(directory: Path, root: Path, rooms: Sequence[str]) -> int:
    """Write the page from what is kept of each room; return 1 when a survivor has no reason."""
    kept = {room: _read(path) for room in rooms if (path := directory / f"{room}.json").exists()}
    page = root / PAGE
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{begin}\n{table(kept)}\n{END}{after}", encoding="utf-8")
    bare = 0
    for room, one in kept.items():
        bare += sum(not reason for _, _, reason in one["left"])
        how = "" if one["tried"] == one["total"] else f", a sample of {one['total']} by seed {one['seed']}"
        print(f"{room}: {one['killed']} of {one['tried']} mutants killed{how}")
    print(f"{bare} are left without a reason")
    return 1 if bare else 0
