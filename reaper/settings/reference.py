"""Describe every setting: its specification, its value as TOML, the JSON Schema of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr

from reaper.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting. `key` is dotted; `allowed` completes "must be …"; `default` None: empty means none."""

    key: str
    default: object
    description: str
    allowed: str
    masked: bool
    """True if its value may be a secret (a token) or contain one (a URL)."""

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.key.partition(".")[2]

    @property
    def variable(self) -> str:
        return f"REAPER_{self.key.replace('.', '__').upper()}"


@cache
def setting_specs() -> Mapping[str, SettingSpec]:
    """Return every setting by its dotted key, in the order of declaration."""
    found = {}
    for section, model in sections().items():
        for name, field in model.model_fields.items():
            key = f"{section}.{name}"
            found[key] = SettingSpec(
                key=key,
                default=field.default,
                description=field.description or "",
                allowed=_allowed(
                    field.annotation, field.metadata, seconds=name.endswith("_s") and name != "rate_per_s"
                ),
                masked=SecretStr in get_args(field.annotation) or field.repr is False,
            )
    return found


@cache
def sections() -> Mapping[str, Any]:
    """Return the model of each section by its name."""
    return {name: field.annotation for name, field in Settings.model_fields.items()}


def _allowed(annotation: object, metadata: list[Any], *, seconds: bool) -> str:
    """Return the allowed values, in words that follow "must be"."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    args = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(args)
    if get_origin(annotation) is tuple:
        return "a list of paths" if args[0] is Path else "a list of strings"
    if annotation in (int, float):
        noun = "a whole number" if annotation is int else "a number of seconds" if seconds else "a number"
        low = next(
            f"from {bound.ge:,g}" if isinstance(bound, Ge) else f"above {bound.gt:,g}"
            for bound in metadata
            if isinstance(bound, Ge | Gt)
        )
        high = next(bound.le for bound in metadata if isinstance(bound, Le))
        return f"{noun} {low} to {high:.12g}"
    if annotation is bool:
        return "true or false"
    return "a path" if Path in args else "a string"


def toml_value(value: object) -> str:
    """Return a value as TOML; None becomes the empty string, because TOML has no null."""
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.15g}"
        case int():
            return str(value)
        case tuple():
            return f"[{', '.join(toml_value(item) for item in value)}]"
        case _:
            # A JSON string is a valid TOML basic string, except for DEL.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of the file, for editors: sections inlined, and no null, because TOML has none."""
    schema = Settings.model_json_schema()
    definitions = schema["$defs"]
    properties = {}
    for section in schema["properties"]:
        model = definitions[sections()[section].__name__]
        properties[section] = {
            "type": "object",
            "description": model["description"],
            "additionalProperties": False,
            "properties": {name: _plain(raw) for name, raw in model["properties"].items()},
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "reaper.toml",
        "description": schema["description"],
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _plain(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a property without Pydantic's titles and without null as a type or default."""
    branches = [branch for branch in raw.get("anyOf", ()) if branch != {"type": "null"}]
    merged = {**(branches[0] if branches else {}), **raw}
    default = "" if merged.get("default") is None else merged["default"]
    return {name: value for name, value in merged.items() if name not in ("anyOf", "title")} | {"default": default}
