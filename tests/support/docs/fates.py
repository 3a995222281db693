"""What becomes of each command in README.md and docs/: run in the order of its page, run elsewhere, or not run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from tests.support.deploy.tours import TOURS, on_a_machine
from tests.support.docs.blocks import Block, Step, blocks
from tests.support.docs.elsewhere import entries
from tests.support.docs.readings import LANGUAGES, READINGS

SHOWN = {"text"}
"""Blocks that show something, and are not for pasting."""

IN_ORDER = "e2e/test_documented_commands.py::test_a_page_runs_as_it_stands"
IN_A_CLUSTER = "deploy/test_kubernetes_guide.py::test_the_guide_runs_in_its_order"
ON_A_MACHINE = "deploy/test_pages_on_a_machine.py::test_a_page_runs_on_a_fresh_machine"


@dataclass(frozen=True, slots=True)
class Fate:
    """`test` runs it as it stands, unless `instead` says what it does in its place; without a test nothing does."""

    user: str = ""
    """Who runs it, where its page is run in its order."""
    test: str = ""
    why: str = ""
    instead: str = ""


def fate(one: Block, step: Step) -> Fate | None:
    """Return what becomes of a command; None: nobody has said."""
    if on_a_machine(one):
        return Fate(TOURS[one.page].user, f"{ON_A_MACHINE}[{one.page}]")
    if one.page == "docs/kubernetes.md" and one.language == "console":
        return Fate("an administrator of a stand-in for a cluster", IN_A_CLUSTER)
    if found := entries(one, step):
        return Fate("", found[0].covered_by, found[0].why, found[0].instead)
    if one.page in READINGS and one.language in LANGUAGES:
        return Fate("a user with a home of their own", f"{IN_ORDER}[{one.page}]")
    return None


def parts(page: str) -> list[tuple[Fate | None, list[Step]]]:
    """Return the blocks of a page in its order; one whose commands fare differently comes in parts."""
    found = []
    for one in blocks(page):
        if one.language not in SHOWN:
            for end, steps in groupby(one.steps, key=lambda step, one=one: fate(one, step)):  # type: ignore[misc]
                found.append((end, list(steps)))
    return found
