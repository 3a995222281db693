"""Writes the completions, the manual pages and docs/commands.md anew: `make generated`."""

from __future__ import annotations

from pathlib import Path

from reaper.cli.completion.shells import bash, fish, zsh
from reaper.cli.completion.tree import read
from tools.cli_reference.commands import page
from tools.cli_reference.manual import pages

ROOT = Path(__file__).parents[2]


def files() -> dict[str, str]:
    """Return every generated file by its path from the root."""
    root = read()
    made = {
        "completions/reaper.bash": bash(root),
        "completions/_reaper": zsh(root),
        "completions/reaper.fish": fish(root),
        "docs/commands.md": page(root),
    }
    return made | {f"man/{name}": text for name, text in pages(root).items()}


def main() -> None:
    """Write them."""
    for name, text in files().items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
