"""Write docs/commands-run.md: each block of README.md and docs/, and the test that runs it, or why none does."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path

from tests.support.docs.blocks import PAGES, Step
from tests.support.docs.fates import Fate, parts

PAGE = Path(__file__).parents[1] / "docs" / "commands-run.md"
HEAD = """\
# The commands of these pages, and who runs them

Written by `make generated`, and compared with the pages by `tests/repo/test_documented_list.py`. A block is named by
its first line. *As it stands*: the test takes the command from the page and runs it; names and addresses of the
examples are replaced by those of servers that the test starts. Root's pages run on a machine that has never seen
reaper: a systemd of its own. The stand-in for a cluster answers `kubectl` and keeps objects, but starts no pod: `exec`
runs reaper here. Tests are named from `tests/` on.

"""


def text() -> str:
    """Return the page."""
    counts: Counter[str] = Counter()
    sections = []
    for page in PAGES:
        lines = []
        for end, group in groupby(parts(page), key=lambda part: part[0]):
            assert end is not None, f"{page}: neither run nor listed: tests/e2e/test_documented_commands.py says which"
            blocks = [steps for _, steps in group]
            counts[_kind(end)] += sum(map(len, blocks))
            lines += [_sentence(end), "", *(f"- {_name(steps)}" for steps in blocks), ""]
        if lines:
            sections += [f"## {page}", "", *lines]
    total = sum(counts.values())
    table = [
        f"| of {total} commands and examples | |",
        "|---|--:|",
        *(f"| {kind} | {counts[kind]} |" for kind in KINDS),
        "",
    ]
    return HEAD + "\n".join([*table, *sections])


KINDS = (
    "run as they stand, in the order of their page",
    "run as they stand by a test of their own",
    "not run; a test does what comes nearest",
    "not run by any test",
)


def _kind(end: Fate) -> str:
    if end.user:
        return KINDS[0]
    return KINDS[3] if not end.test else KINDS[2] if end.instead else KINDS[1]


def _sentence(end: Fate) -> str:
    if end.user:
        return f"Run as it stands, in this order, as {end.user}, by `{end.test}`:"
    if not end.test:
        return f"Not run, because it {end.why}:"
    if not end.instead:
        return f"Run as it stands by `{end.test}`, apart from the page, because it {end.why}:"
    return f"Not run, because it {end.why}. `{end.test}` {end.instead}:"


def _name(steps: list[Step]) -> str:
    first = steps[0].command.strip().splitlines()[0].partition("  #")[0].rstrip()
    mark = "``" if "`" in first else "`"
    more = len(steps) - 1
    return f"{mark}{first}{mark}" + (f" and {more} more" if more else "")


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
