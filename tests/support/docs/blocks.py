"""The fenced blocks of README.md and docs/, in the order of their page, and the commands in them."""

from __future__ import annotations

import functools
import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- block: (?P<name>[\w-]+) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a block, and the lines that the page shows beneath it."""

    command: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """`name` is the one in a comment on the line before, if any; `line` is that of the fence."""

    page: str
    line: int
    language: str
    text: str
    name: str

    @property
    def steps(self) -> list[Step]:
        """Return its commands: as they follow a `$` (console), by line (sh), or the whole (a script, another form)."""
        if self.language == "console":
            return _prompted(self.text)
        if self.language == "sh" and not self.text.startswith("#!"):
            return [Step(command) for command in _whole_commands(self.text)]
        return [Step(self.text)]


@functools.cache
def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, named as from the root of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
            found["name"] or "",
        )
        for found in FENCE.finditer(text)
    ]


def block(page: str, *, name: str = "", begin: str = "") -> str:
    """Return the text of the one block of a page with this name, or this beginning."""
    (found,) = [one.text for one in blocks(page) if one.name == name and one.text.startswith(begin)]
    return found


def _prompted(text: str) -> list[Step]:
    steps: list[Step] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append(Step(line[2:]))
        elif steps[-1].command.endswith("\\"):
            steps[-1] = Step(f"{steps[-1].command}\n{line}")
        else:
            steps[-1] = Step(steps[-1].command, (*steps[-1].shown, line))
    return steps


def _whole_commands(text: str) -> Iterator[str]:
    """Yield lines, as many at once as bash needs for a command (`for … done`)."""
    kept = ""
    for line in text.splitlines():
        kept = f"{kept}\n{line}" if kept else line
        open_end = kept.endswith("\\") or subprocess.run(["bash", "-n"], input=kept, text=True, stderr=-3).returncode
        if not open_end:
            if not re.fullmatch(r"\s*(#.*)?", kept):
                yield kept
            kept = ""
    assert not kept, f"no end of a command: {kept}"
