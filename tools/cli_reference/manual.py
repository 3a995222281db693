"""Manual pages from the command line's tree: `reaper.1`, and one for each command."""

from __future__ import annotations

from reaper.cli.completion.tree import Command, Option
from reaper.cli.verbs import EXIT_CODES, GROUPS
from reaper.core.version import __version__

MADE = '.\\" Made by `make generated` from the command line itself; do not edit.'
FILES = (
    (
        "~/.config/reaper/reaper.toml",
        "settings, unless --config or REAPER_CONFIG names another file; under $XDG_CONFIG_HOME where that is set",
    ),
    ("/etc/reaper/reaper.toml", "settings, for users without a file of their own"),
    (
        "~/.local/state/reaper/reaper.db",
        "the ledger; under $STATE_DIRECTORY or $XDG_STATE_HOME/reaper where that is set; of a profile in NAME/ there",
    ),
)
ENVIRONMENT = (
    ("ARCHAL_TOKEN", "the token, unless api.token_file names a file"),
    ("REAPER_CONFIG", "the settings file"),
    ("REAPER_PROFILE", "the profile, unless --profile names one: NAME.toml and a state directory of its own"),
    ("REAPER_SECTION__KEY", "any setting, as REAPER_WORKER__CONCURRENCY"),
    ("NO_COLOR", "when not empty: no colour"),
)


def pages(root: Command) -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {"reaper.1": _whole(root)} | {f"reaper-{part.path[0]}.1": _one(part) for part in root.parts}


def _whole(root: Command) -> str:
    parts = {part.path[0]: part for part in root.parts}
    lines = [*_head("reaper", "stop hosted sessions and account for every one"), ".SH SYNOPSIS"]
    lines += [
        ".B reaper",
        "[\\fIoptions\\fR] \\fICOMMAND\\fR ...",
        ".SH DESCRIPTION",
        _plain(root.about.split("\n")[0]),
    ]
    for title, verbs in GROUPS.items():
        lines.append(f".SS {_plain(title.capitalize())}")
        for name in verbs:
            lines += [".TP", f".BR reaper\\-{name} (1)", _plain(parts[name].help)]
    lines += [".SH OPTIONS", *_options(root.options)]
    lines += [".SH EXIT STATUS", "Reaper checks them in this order.", *_codes()]
    lines += [".SH ENVIRONMENT", *_terms(ENVIRONMENT), ".SH FILES", *_terms(FILES)]
    return "\n".join([*lines, ""])


def _one(command: Command) -> str:
    name = "reaper-" + command.path[0]
    lines = [*_head(name, command.help), ".SH SYNOPSIS"]
    usages = [each.usage.removeprefix("usage: ") for each in command.parts or (command,)]
    lines += [line for usage in usages for line in (".PP", _plain(" ".join(usage.split())))]
    lines += [".SH DESCRIPTION", _plain(command.about)]
    notes, _, examples = command.after.rpartition("examples:\n")
    if notes.strip():
        lines += [".PP", _plain(notes.strip())]
    for one in command.positionals:
        lines += [".TP", f"\\fI{_plain(one.metavar or '|'.join(one.values))}\\fR", _plain(one.help)]
    for part in command.parts:
        lines += [f".SS {_plain(part.path[-1])}", _plain(part.about)]
        for one in part.positionals:
            lines += [".TP", f"\\fI{_plain(one.metavar)}\\fR", _plain(one.help)]
        lines += _options(tuple(one for one in part.options if one.group == "options" and "-h" not in one.names))
    lines += [".SH OPTIONS", *_options(command.options)]
    lines += [".SH EXAMPLES", ".nf", *map(_plain, examples.splitlines()), ".fi"]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR reaper (1)", ""])


def _head(name: str, what: str) -> list[str]:
    return [
        MADE,
        f'.TH {name.upper().replace("-", chr(92) + "-")} 1 "" "reaper {__version__}"',
        ".SH NAME",
        f"{_plain(name)} \\- {_plain(what)}",
    ]


def _options(options: tuple[Option, ...]) -> list[str]:
    lines: list[str] = []
    for one in options:
        names = ", ".join(f"\\fB{_plain(name)}\\fR" for name in one.names)
        value = one.metavar or "|".join(one.values)
        lines += [".TP", names + (f" \\fI{_plain(value)}\\fR" if one.takes else ""), _plain(one.help)]
    return lines


def _codes() -> list[str]:
    rows = [line.split(maxsplit=1) for line in EXIT_CODES.splitlines()[1:] if line.strip()]
    return _terms(tuple((code, text) for code, text in rows))


def _terms(rows: tuple[tuple[str, str], ...]) -> list[str]:
    return [line for term, text in rows for line in (".TP", f"\\fB{_plain(term)}\\fR", _plain(text))]


def _plain(text: str) -> str:
    """Return a text escaped for roff: no character of it is a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in escaped.split("\n"))
