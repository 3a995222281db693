"""The page of commands from the command line's tree: docs/commands.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reaper.cli.completion.tree import Command, Option
from reaper.cli.help import SHARED
from reaper.cli.verbs import EXIT_CODES, GROUPS

HEAD = """\
# Commands

<!-- Made by `make generated` from the command line itself; do not edit. -->

`reaper COMMAND --help` says the same. Data goes to stdout, everything else to stderr.
"""


def page(root: Command) -> str:
    """Return docs/commands.md."""
    parts = {part.path[0]: part for part in root.parts}
    lines = [HEAD]
    lines += [f"- {title}: " + ", ".join(f"[`{verb}`](#{verb})" for verb in group) for title, group in GROUPS.items()]
    lines += ["", "## Options of several commands", "", *_shared(root)]
    lines += ["", "## Exit codes", "", "Reaper checks them in this order.", "", "| code | meaning |", "|---|---|"]
    rows = [line.split(maxsplit=1) for line in EXIT_CODES.splitlines()[1:] if line.strip()]
    lines += [f"| {code} | {meaning} |" for code, meaning in rows]
    for group in GROUPS.values():
        for name in group:
            lines += ["", f"## {name}", *_section(parts[name])]
    return "\n".join(lines) + "\n"


def _shared(root: Command) -> list[str]:
    """Return the table of the options that several commands have, and under which they do something."""
    rows = ["| argument | meaning | commands |", "|---|---|---|"]
    leaves = [leaf for part in root.parts for leaf in part.parts or (part,)]
    for one in root.options:
        if one.group in SHARED:
            having = [leaf.path for leaf in leaves if _has(leaf, one)]
            lacking = [leaf.path for leaf in leaves if not _has(leaf, one)]
            named = having if len(having) <= len(lacking) else lacking
            verbs = ", ".join(f"`{' '.join(path)}`" for path in named)
            where = verbs if named is having else f"all but {verbs}" if verbs else "all"
            rows.append(f"{_row(one)} {where} |")
    return rows


def _has(command: Command, option: Option) -> bool:
    return any(one.names == option.names for one in command.options)


def _section(command: Command) -> Iterator[str]:
    """Yield the lines of one command, then those of its parts."""
    options = [one for one in command.options if one.group not in SHARED and "-h" not in one.names]
    yield from ("", command.about)
    if not command.parts:
        words = ["reaper", *command.path, *(["[options]"] if options else []), *map(_operand, command.positionals)]
        yield from ("", "```text", " ".join(words), "```")
    if arguments := [*command.positionals, *options]:
        yield from ("", *_table(arguments))
    for text in command.after.split("\n\n"):
        if "\n  " in text:
            head, _, block = text.partition("\n")
            yield from ("", head[:1].upper() + head[1:], "", "```sh", *_examples(block), "```")
        elif text:
            yield from ("", text)
    for part in command.parts:
        yield from ("", f"### {' '.join(part.path)}", *_section(part))


def _examples(block: str) -> Iterator[str]:
    """Yield each command of a help's examples below a comment that says what it does: to be pasted."""
    for command, what in re.findall(r"^  (\S.*?)(?:\n {6}|  +)(\S.*)$", block, flags=re.MULTILINE):
        yield from (f"# {what}", command)


def _table(options: Sequence[Option]) -> list[str]:
    return ["| argument | meaning |", "|---|---|", *map(_row, options)]


def _row(one: Option) -> str:
    value = f" {_value(one)}" if one.takes else ""
    name = ", ".join(f"`{name}{value}`" for name in one.names) or f"`{_operand(one)}`"
    return "| {} | {} |".format(*(cell.replace("|", r"\|") for cell in (name, one.help)))


def _value(one: Option) -> str:
    return one.metavar or "|".join(one.values)


def _operand(one: Option) -> str:
    value = _value(one)
    return {"*": f"[{value}…]", "+": f"{value}…", "?": f"[{value}]"}.get(one.nargs, value)
