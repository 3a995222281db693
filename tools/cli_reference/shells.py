"""Completion for bash, zsh and fish from the command line's tree."""

from __future__ import annotations

from collections.abc import Iterator

from tools.cli_reference.tree import Command, Option

MADE = "# Made by `make generated` from the command line itself; do not edit."


def commands(root: Command) -> Iterator[Command]:
    """Yield each command with options of its own, the root first."""
    yield root
    for part in root.parts:
        yield from commands(part)


def words_of(command: Command) -> list[str]:
    """Return the words that may follow: parts, options, and the fixed values of a positional."""
    fixed = [value for one in command.positionals for value in one.values]
    return [part.path[-1] for part in command.parts] + fixed + [name for one in command.options for name in one.names]


# --- bash ---------------------------------------------------------------------------------------------------------


def bash(root: Command) -> str:
    """Return the script for bash."""
    verbs = "|".join(part.path[0] for part in root.parts)
    lines = [MADE, "_reaper() {", '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="" path="" word i']
    lines += ["    COMPREPLY=()", '    ((COMP_CWORD > 0)) && prev="${COMP_WORDS[COMP_CWORD - 1]}"']
    lines += [
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        word="${COMP_WORDS[i]}"',
        '        case "$path/$word" in',
    ]
    lines += [f'            /{verbs.replace("|", "|/")}) path="$word" ;;']
    for part in root.parts:
        if part.parts:
            inner = "|".join(f"{part.path[0]}/{one.path[1]}" for one in part.parts)
            lines.append(f'            {inner}) path="$path $word" ;;')
    lines += ["        esac", "    done", '    case "$path:$prev" in']
    for command in commands(root):
        for one in command.options:
            if one.takes:
                lines += [f"        {_bash_patterns(command, one)}) {_bash_value(one)}; return ;;"]
    lines += ["    esac", '    case "$path" in']
    for command in commands(root):
        files = any(one.files for one in command.positionals)
        more = ' $(compgen -f -- "$cur")' if files else ""
        words = f'$(compgen -W "{" ".join(words_of(command))}" -- "$cur"){more}'
        lines.append(f'        "{" ".join(command.path)}") COMPREPLY=({words}) ;;')
    lines += ["    esac", "}", "complete -o filenames -o bashdefault -F _reaper reaper", ""]
    return "\n".join(lines)


def _bash_patterns(command: Command, one: Option) -> str:
    return "|".join(f'"{" ".join(command.path)}:{name}"' for name in one.names)


def _bash_value(one: Option) -> str:
    if one.values:
        return f'COMPREPLY=($(compgen -W "{" ".join(one.values)}" -- "$cur"))'
    return 'COMPREPLY=($(compgen -f -- "$cur"))' if one.files else ":"


# --- zsh ----------------------------------------------------------------------------------------------------------


def zsh(root: Command) -> str:
    """Return the script for zsh."""
    lines = ["#compdef reaper", MADE, ""]
    for command in reversed(list(commands(root))):
        lines += [f"{_zsh_name(command)}() {{", *_zsh_body(command), "}", ""]
    return "\n".join([*lines, '_reaper "$@"', ""])


def _zsh_name(command: Command) -> str:
    return "_".join(("_reaper", *command.path))


def _zsh_body(command: Command) -> list[str]:
    specs = [_zsh_option(one) for one in command.options]
    if not command.parts:
        for one in command.positionals:
            words = _zsh_quoted(one.help or one.metavar.lower())
            specs.append(f"'*:{words}:{_zsh_values(one)}'")
        return ["    _arguments -s \\", *(f"        {spec} \\" for spec in specs[:-1]), f"        {specs[-1]}"]
    parts = [f"            '{part.path[-1]}:{_zsh_quoted(part.help)}'" for part in command.parts]
    cases = [f"                {part.path[-1]}) {_zsh_name(part)} ;;" for part in command.parts]
    return [
        "    local line state", "    _arguments -s -C \\", *(f"        {spec} \\" for spec in specs),
        "        '1: :->part' '*:: :->rest'", '    case "$state" in', "        part)", "            local -a parts=(",
        *(f"    {part}" for part in parts), "            )", "            _describe command parts ;;", "        rest)",
        '            case "$line[1]" in', *cases, "            esac ;;", "    esac",
    ]  # fmt: skip


def _zsh_option(one: Option) -> str:
    # Both spellings of an option exclude each other; each may stand once.
    names = f"'({' '.join(one.names)})'{{{','.join(one.names)}}}" if len(one.names) > 1 else f"'{one.names[0]}'"
    value = f":{one.metavar.lower() or 'value'}:{_zsh_values(one)}" if one.takes else ""
    return f"{names}'[{_zsh_quoted(one.help)}]{value}'"


def _zsh_values(one: Option) -> str:
    if one.values:
        return f"({' '.join(one.values)})"
    return "_files" if one.files else ""


def _zsh_quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


# --- fish ---------------------------------------------------------------------------------------------------------


def fish(root: Command) -> str:
    """Return the script for fish."""
    verbs = " ".join(part.path[0] for part in root.parts)
    lines = [MADE, "complete -c reaper -f"]
    for command in commands(root):
        seen = [f"__fish_seen_subcommand_from {word}" for word in command.path]
        inner = " ".join(part.path[-1] for part in command.parts)
        none = f"not __fish_seen_subcommand_from {inner or verbs}"
        where = "; and ".join([*seen, none] if command.parts else seen)
        begin = f"complete -c reaper -n '{where}'"
        lines += [f"{begin} -a {part.path[-1]} -d {_fish_quoted(part.help)}" for part in command.parts]
        lines += [f"{begin}{_fish_option(one)} -d {_fish_quoted(one.help)}" for one in command.options]
        for one in command.positionals:
            if one.values:
                lines.append(f"{begin} -a '{' '.join(one.values)}' -d {_fish_quoted(one.help)}")
            elif one.files:
                lines.append(f"{begin} -F")
    return "\n".join([*lines, ""])


def _fish_option(one: Option) -> str:
    names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in one.names)
    if not one.takes:
        return names
    return names + (f" -x -a '{' '.join(one.values)}'" if one.values else " -r -F" if one.files else " -x")


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
