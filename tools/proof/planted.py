"""Planted bugs: what one is, how it gets into a copy of the tree, and the table of them in docs/proof.md.

A bug is a mistake that somebody could make, in a few lines, and the tests that must turn red for it. It is kept as the
exact text that it replaces: when that text is gone, the bug no longer applies, and that is an error and not a pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BEGIN = "<!-- planted: written by `make prove`, compared with the list of bugs by tests/repo/test_proof.py -->"
END = "<!-- /planted -->"


class DoesNotApplyError(Exception):
    """The text that a bug replaces is not there, or not once."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In the file `path`, `old`, which stands there once, becomes `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Bug:
    """One mistake. Each of `tests` (pytest's node IDs) fails by it, and passes without it."""

    name: str
    title: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def bug(name: str, title: str, path: str, *old_new: str, fails: str | tuple[str, ...]) -> Bug:
    """Make a bug in one file: `old_new` are the old and the new text of each edit in turn."""
    pairs = zip(old_new[::2], old_new[1::2], strict=True)
    tests = (fails,) if isinstance(fails, str) else fails
    return Bug(name, title, tuple(Edit(path, old, new) for old, new in pairs), tests)


def changed(root: Path, planted: Bug) -> dict[str, str]:
    """Return the files that a bug changes, as they read with it. Raises DoesNotApplyError."""
    texts: dict[str, str] = {}
    for edit in planted.edits:
        text = texts.get(edit.path)
        if text is None:
            try:
                text = (root / edit.path).read_text(encoding="utf-8")
            except FileNotFoundError:
                raise DoesNotApplyError(f"{planted.name}: there is no {edit.path} any more") from None
        if (times := text.count(edit.old)) != 1:
            raise DoesNotApplyError(
                f"{planted.name}: in {edit.path} this text stands {times} times and not once; mend the bug's text:\n"
                f"{edit.old}"
            )
        if edit.old == edit.new:
            raise DoesNotApplyError(f"{planted.name}: an edit of {edit.path} changes nothing")
        texts[edit.path] = text.replace(edit.old, edit.new)
    return texts


def table(bugs: Iterable[Bug]) -> str:
    """Return the bugs as the table of docs/proof.md."""
    every = list(bugs)
    rows = [
        f"{len(every)} planted bugs, each caught by the tests beside it.",
        "",
        "| bug | in | caught by |",
        "|---|---|---|",
    ]
    for one in every:
        files = "<br>".join(f"`{path}`" for path in dict.fromkeys(edit.path for edit in one.edits))
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in one.tests)
        rows.append(f"| {one.title} | {files} | {tests} |")
    return "\n".join(rows)


def with_table(page: str, bugs: Iterable[Bug]) -> str:
    """Return the page with its table written anew. Raises ValueError when the page has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table(bugs)}\n{END}{after}"
