"""`reaper config show|schema|init`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from reaper.cli.arguments import add_action
from reaper.cli.commands.config_init import configure_init, run_init
from reaper.cli.output import emit_json_text, emit_row, say
from reaper.cli.wrap import columns
from reaper.core.text import wrap
from reaper.core.urls import MASK, masked_ping, masked_receiver, masked_url
from reaper.settings.load import DEFAULT, Loaded, load
from reaper.settings.reference import schema_json, sections, setting_specs, setting_toml


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="show|schema|init", required=True)
    show = add_action(actions, "config", "show", "print each setting in effect and its origin")
    show.add_argument(
        "--changed", action="store_true", help="only settings that a file, the environment or a flag sets"
    )
    show.epilog = f"The comments say where a settings file was looked for.\n\n{show.epilog}"
    add_action(actions, "config", "schema", "print a JSON Schema of the settings file, for editors")
    into = "write a short, commented settings file to ~/.config/reaper, as root to /etc/reaper; overwrite none"
    configure_init(add_action(actions, "config", "init", into))


def run(args: argparse.Namespace) -> int:
    """Print the settings; or the schema, or write a file, which read none. Raises ConfigError for wrong settings."""
    return {"show": _show, "schema": _schema, "init": run_init}[args.action](args)


def _schema(_: argparse.Namespace) -> int:
    emit_json_text(schema_json().rstrip("\n"))
    return 0


def _show(args: argparse.Namespace) -> int:
    loaded = load(args.config, args.flags, profile=args.profile)
    for warning in loaded.warnings:
        say(f"warning: {warning}", logging.WARNING)
    keys = [key for key, origin in loaded.origins.items() if not args.changed or not origin.startswith(DEFAULT)]
    if args.json:
        emit_json_text(as_json(loaded, keys).rstrip("\n"))
    else:
        tables = as_toml(loaded, keys, width=columns(sys.stdout)) or "# every setting has its default\n"
        emit_row(f"{_places(loaded)}\n{tables}".removesuffix("\n"))
    return 0


def as_toml(loaded: Loaded, keys: Collection[str], *, width: int | None = None) -> str:
    """Return effective settings in the form of the file, each with its origin, secrets masked.

    The origin stands beside the setting, or above it where the terminal has no room for both.
    """
    tables = []
    for section in sections():
        rows = [
            (f"{knob.name} = {setting_toml(knob, _value(loaded, knob.key))}", loaded.origins[knob.key])
            for knob in setting_specs().values()
            if knob.section == section and knob.key in keys
        ]
        longest = max((len(setting) for setting, _ in rows), default=0)
        lines = [f"{setting:<{longest}}  # {origin}" for setting, origin in rows]
        if width is not None and max(map(len, lines), default=0) > width:
            lines = [line for setting, origin in rows for line in (wrap(f"# {origin}", width, "#   "), setting)]
        tables += ["\n".join([f"[{section}]", *lines, ""])] if rows else []
    return "\n".join(tables)


def _places(loaded: Loaded) -> str:
    """Return where a settings file was looked for and found, as comments."""
    lines = [f"profile: {loaded.profile}"] if loaded.profile else []
    lines.append("settings file: " + (loaded.search.used or "none; these places were looked at"))
    for place in loaded.search.places:
        state = "in use" if place.path == loaded.search.used else "exists, hidden" if place.exists else "is not there"
        lines.append(f"  {place.path}  ({place.rule}): {place.fault or state}")
    width = columns(sys.stdout)
    comments = [f"# {line}" for line in lines]
    return "".join(f"{line if width is None else wrap(line, width, '#   ')}\n" for line in comments)


def as_json(loaded: Loaded, keys: Collection[str]) -> str:
    """Return what is in effect as one JSON object: section, key, then `value` and `origin`; and the places."""
    tree: dict[str, Any] = {section: {} for section in sections()}
    for key in keys:
        value, knob = _value(loaded, key), setting_specs()[key]
        tree[knob.section][knob.name] = {
            "value": str(value) if isinstance(value, Path) else value,
            "origin": loaded.origins[key],
        }
    search = loaded.search
    places = [
        {"path": place.path, "rule": place.rule, "exists": place.exists, "used": place.path == search.used}
        for place in search.places
    ]
    whole = {**tree, "config_file": search.used, "profile": search.profile, "places": places}
    return json.dumps(whole, ensure_ascii=False, default=str) + "\n"


def _value(loaded: Loaded, key: str) -> object:
    """Return a setting's value; secrets and the passwords of URLs are masked."""
    knob = setting_specs()[key]
    value = getattr(getattr(loaded.settings, knob.section), knob.name)
    if isinstance(value, SecretStr):
        return MASK
    if key == "notify.urls":
        return tuple(map(masked_receiver, loaded.settings.notify.urls))
    if not (knob.masked and isinstance(value, str)):
        return value
    return masked_ping(value) if key == "notify.heartbeat_url" else masked_url(value)
