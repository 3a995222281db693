"""Completion for bash, zsh and fish from the command line's tree."""

from __future__ import annotations

from collections.abc import Iterator

from reaper.cli.completion.tree import Command, Option

MADE = "# Made from the command line itself, and printed by `reaper completion`; do not edit."

_BASH_PROFILES = """\
_reaper_profiles() {
    local file
    for file in "${XDG_CONFIG_HOME:-$HOME/.config}"/reaper/*.toml /etc/reaper/*.toml; do
        file="${file##*/}"
        case "$file" in reaper.toml | '*.toml') ;; *) printf '%s\\n' "${file%.toml}" ;; esac
    done
}"""
_ZSH_PROFILES = """\
_reaper_profiles() {
    local -aU names=(${XDG_CONFIG_HOME:-$HOME/.config}/reaper/*.toml(N:t:r) /etc/reaper/*.toml(N:t:r))
    compadd -- ${names:#reaper}
}
"""
_FISH_PROFILES = """\
function __reaper_profiles
    set -l config $XDG_CONFIG_HOME
    test -n "$config"; or set config ~/.config
    for file in $config/reaper/*.toml /etc/reaper/*.toml
        string replace -r '.*/(.*)\\.toml$' '$1' $file
    end | string match -v reaper
end"""


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
    lines = [MADE, _BASH_PROFILES, "_reaper() {", '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="" path="" word i']
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
    if one.profiles:
        return 'COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur"))'
    return 'COMPREPLY=($(compgen -f -- "$cur"))' if one.files else ":"


# --- zsh ----------------------------------------------------------------------------------------------------------


def zsh(root: Command) -> str:
    """Return the script for zsh."""
    lines = ["#compdef reaper", MADE, "", _ZSH_PROFILES]
    for command in reversed(list(commands(root))):
        lines += [f"{_zsh_name(command)}() {{", *_zsh_body(command), "}", ""]
    # A file of $fpath is the function's body at first; a sourced one only registers it.
    return "\n".join(
        [*lines, 'if [[ $funcstack[1] == _reaper ]]; then _reaper "$@"; else compdef _reaper reaper; fi', ""]
    )


def _zsh_name(command: Command) -> str:
    return "_".join(("_reaper", *command.path))


def _zsh_body(command: Command) -> list[str]:
    specs = [_zsh_option(one) for one in command.options]
    if not command.parts:
        for one in command.positionals[-1:]:  # zsh has one kind of operands
            words = _zsh_quoted(one.help or one.metavar.lower())
            once = "1" if one.nargs in ("", "?") and len(command.positionals) == 1 else "*"
            specs.append(f"'{once}:{words}:{_zsh_values(one)}'")
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
    return "_files" if one.files else "_reaper_profiles" if one.profiles else ""


def _zsh_quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


# --- fish ---------------------------------------------------------------------------------------------------------


def fish(root: Command) -> str:
    """Return the script for fish."""
    verbs = " ".join(part.path[0] for part in root.parts)
    lines = [MADE, _FISH_PROFILES, "complete -c reaper -f"]
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
    if one.values or one.profiles:
        return f"{names} -x -a '{' '.join(one.values) or '(__reaper_profiles)'}'"
    return names + (" -r -F" if one.files else " -x")


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
