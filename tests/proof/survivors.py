"""What became of the mutants, kept for each room; docs/mutants.md says it, with the reason of each that survives."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.proof.equivalent import EQUIVALENT
from tests.proof.forks import ELSEWHERE, KILLED, NO_MUTANT, NOT_RUN, SURVIVED, TIMEOUT, Result

PAGE = "docs/mutants.md"
BEGIN = "<!-- mutants: written by `make mutate` -->"
END = "<!-- /mutants -->"


def keep(directory: Path, room: str, results: Sequence[Result], total: int, seed: int) -> None:
    """Keep a room's results until it is tried again."""
    directory.mkdir(exist_ok=True)
    ends = Counter(one.end for one in results)
    left = [one for one in results if one.end in (SURVIVED, NOT_RUN, ELSEWHERE)]
    kept = {
        "killed": ends[KILLED] + ends[TIMEOUT],
        "timeouts": ends[TIMEOUT],
        "tried": len(results) - ends[NO_MUTANT],
        "total": total - ends[NO_MUTANT],
        "seed": seed,
        "left": [[str(one.mutant), one.end, one.mutant.key] for one in left],
        "by": [[str(one.mutant), one.end, one.by] for one in results],
    }
    (directory / f"{room}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False))


def table(rooms: Mapping[str, dict]) -> str:
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
    kept = {room: json.loads(path.read_text()) for room in rooms if (path := directory / f"{room}.json").exists()}
    for one in kept.values():
        one["left"] = [(name, end, EQUIVALENT.get(tuple(key), "")) for name, end, key in one["left"]]
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
