"""`reaper config show` and `reaper config schema`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pydantic import SecretStr

from reaper.core.urls import MASK, masked_url
from reaper.settings.load import Loaded, load
from reaper.settings.reference import json_schema, sections, setting_specs, toml_value


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("show", "schema"),
        metavar="show|schema",
        help="show: each setting in effect and its origin; schema: JSON Schema of the file",
    )


def run(args: argparse.Namespace) -> int:
    """Print the settings, or the schema, which reads none. Raises ConfigError when the settings are wrong."""
    if args.what == "schema":
        sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
        return 0
    loaded = load(args.config, args.flags)
    for warning in loaded.warnings:
        sys.stderr.write(f"reaper: warning: {warning}\n")
    sys.stdout.write(as_json(loaded) if args.json else as_toml(loaded))
    return 0


def as_toml(loaded: Loaded) -> str:
    """Return the effective settings in the form of the file, each line with its origin, secrets masked."""
    tables = []
    for section in sections():
        rows = [
            (f"{knob.name} = {toml_value(_value(loaded, knob.key))}", loaded.origins[knob.key])
            for knob in setting_specs().values()
            if knob.section == section
        ]
        width = max(len(setting) for setting, _ in rows)
        tables.append(f"[{section}]\n" + "".join(f"{setting:<{width}}  # {origin}\n" for setting, origin in rows))
    return "\n".join(tables)


def as_json(loaded: Loaded) -> str:
    """Return what is in effect as one JSON object: section, key, then `value` and `origin`."""
    tree: dict[str, dict[str, object]] = {section: {} for section in sections()}
    for knob in setting_specs().values():
        value = _value(loaded, knob.key)
        tree[knob.section][knob.name] = {
            "value": str(value) if isinstance(value, Path) else value,
            "origin": loaded.origins[knob.key],
        }
    return json.dumps(tree, ensure_ascii=False, default=str) + "\n"


def _value(loaded: Loaded, key: str) -> object:
    """Return a setting's value; secrets and the passwords of URLs are masked."""
    knob = setting_specs()[key]
    value = getattr(getattr(loaded.settings, knob.section), knob.name)
    if isinstance(value, SecretStr):
        return MASK
    return masked_url(value) if knob.masked and isinstance(value, str) else value
