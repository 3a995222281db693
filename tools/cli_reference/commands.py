"""The page of commands from the command line's tree: docs/commands.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reaper.cli.verbs import EXIT_CODES, GROUPS
from tools.cli_reference.tree import Command, Option

HEAD = """\
# Commands

<!-- Made by `make generated` from the command line itself; do not edit. -->

`reaper COMMAND --help` says the same. Data goes to stdout, everything else to stderr.
"""
SHARED = ("common options", "settings")
"""Groups of options that are listed once, for all commands."""


def page(root: Command) -> str:
    """Return docs/commands.md."""
    parts = {part.path[0]: part for part in root.parts}
    lines = [HEAD]
    lines += [f"- {title}: " + ", ".join(f"[`{verb}`](#{verb})" for verb in group) for title, group in GROUPS.items()]
    lines += ["", "## Options of every command", "", *_table([one for one in root.options if one.group in SHARED])]
    lines += ["", "`health`, `sandbox` and `demo` have only the first four of them."]
    lines += ["", "## Exit codes", "", "Reaper checks them in this order.", "", "| code | meaning |", "|---|---|"]
    rows = [line.split(maxsplit=1) for line in EXIT_CODES.splitlines()[1:] if line.strip()]
    lines += [f"| {code} | {meaning} |" for code, meaning in rows]
    for group in GROUPS.values():
        for name in group:
            lines += ["", f"## {name}", *_section(parts[name])]
    return "\n".join(lines) + "\n"


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
            yield from (
                "",
                head[:1].upper() + head[1:],
                "",
                "```text",
                *(line[2:] for line in block.splitlines()),
                "```",
            )
        elif text:
            yield from ("", text)
    for part in command.parts:
        yield from ("", f"### {' '.join(part.path)}", *_section(part))


def _table(options: Sequence[Option]) -> list[str]:
    rows = ["| argument | meaning |", "|---|---|"]
    for one in options:
        value = f" {_value(one)}" if one.takes else ""
        name = ", ".join(f"`{name}{value}`" for name in one.names) or f"`{_operand(one)}`"
        rows.append("| {} | {} |".format(*(cell.replace("|", r"\|") for cell in (name, one.help))))
    return rows


def _value(one: Option) -> str:
    return one.metavar or "|".join(one.values)


def _operand(one: Option) -> str:
    value = _value(one)
    return {"*": f"[{value}…]", "+": f"{value}…", "?": f"[{value}]"}.get(one.nargs, value)
