"""`reaper config init`: write a short, commented settings file to where it will be found. Overwrites nothing."""

from __future__ import annotations

import argparse
import os
import shlex
from contextlib import suppress

from reaper.cli.output import emit, emit_json, emit_own, say
from reaper.core.errors import ConfigError, Exit, UsageError
from reaper.settings.config_file import find_config, machine_config, path_for_new
from reaper.settings.reference import schema_json
from reaper.settings.starter import SCHEMA_FILE, SCHEMA_LINE, VARIANTS, starter_toml

STDOUT = "-"
_NEXT = {"discovery": "sessions"}
"""The command that shows most about a new file; of the others: check."""


def configure_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "variant",
        nargs="?",
        choices=(*VARIANTS, STDOUT),
        metavar="VARIANT",
        help=f"what it is for: {', '.join(VARIANTS)} (default: {VARIANTS[0]})",
    )
    parser.add_argument("to", nargs="?", choices=(STDOUT,), metavar=STDOUT, help="print the file instead of writing it")
    parser.add_argument("--stdout", action="store_true", help="the same as -")
    parser.epilog = (
        "Writes ~/.config/reaper/reaper.toml; as root /etc/reaper/reaper.toml, the settings of the machine, unless "
        "$XDG_CONFIG_HOME is set. --config or $REAPER_CONFIG names another file, --profile makes it NAME.toml there. "
        f"Beside it stands {SCHEMA_FILE}, by which editors check it.\n\n"
        f"{parser.epilog}"
    )


def run_init(args: argparse.Namespace) -> int:
    """Write the file and its schema, or print it. Raises UsageError when it is there, ConfigError for other faults."""
    variant = VARIANTS[0] if args.variant in (None, STDOUT) else args.variant
    if args.stdout or STDOUT in (args.variant, args.to):
        emit_own(starter_toml(variant))
        return Exit.OK
    # Root sets up the machine, unless it says where its own settings are.
    machine = os.geteuid() == 0 and not os.environ.get("XDG_CONFIG_HOME")
    path = path_for_new(args.config, os.environ, args.profile, machine=machine)
    _write_new(path, SCHEMA_LINE + starter_toml(variant))
    schema = os.path.join(os.path.dirname(path), SCHEMA_FILE)
    is_new = not os.path.lexists(schema)
    if is_new:
        _write_new(schema, schema_json(), mode=0o644)
    then = f"reaper {_NEXT.get(variant, 'check')}" + _options(args)
    if args.json:
        emit_json({"written": path, "schema": schema, "next": then})
    else:
        beside = f", and beside it {SCHEMA_FILE}, by which editors check it" if is_new else ""
        emit(f"wrote {path}{beside}\nnext: edit it, then: {then}")
    if os.geteuid() == 0 and os.path.dirname(path) == os.path.dirname(machine_config(None)):
        name = shlex.quote(path)
        say(f"the service's user must be able to read it: chown root:reaper {name} && chmod 0640 {name}")
    _note_others(args, path)
    return Exit.OK


def _options(args: argparse.Namespace) -> str:
    """Return the options under which the next command finds the same file."""
    if args.config:
        return f" --config {shlex.quote(args.config)}"
    return f" --profile {args.profile}" if args.profile else ""


def _note_others(args: argparse.Namespace, path: str) -> None:
    """Say which other settings file the new one hides, and which one hides it."""
    search = find_config(args.config, os.environ, args.profile)
    if search.used != path:
        say(f"it is not read by this user, whose own {search.used} hides it")
    elif search.hidden:
        say(f"it hides {search.hidden}, which this user's commands read until now")


def _write_new(path: str, text: str, mode: int = 0o600) -> None:
    folder = os.path.dirname(path) or "."
    try:
        # Of the machine's directory others need to read the files that they may read.
        os.makedirs(folder, mode=0o755 if folder.startswith("/etc/") else 0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the directory {folder} cannot be created: {error.strerror}") from error
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise UsageError(f"{path} exists and stays as it is; to print a new one: reaper config init -") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        with suppress(OSError):
            os.unlink(path)
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
