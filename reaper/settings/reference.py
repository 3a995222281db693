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

from reaper.core.times import DURATION_EXAMPLES, DURATION_PATTERN, duration_text
from reaper.settings.schema import Settings
from reaper.settings.types import read_seconds

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting. `key` is dotted; `allowed` completes "must be …"; `default` None: empty means none."""

    key: str
    default: object
    description: str
    allowed: str
    masked: bool
    """True if its value may be a secret (a token) or contain one (a URL)."""
    choices: tuple[str, ...] = ()
    """The words that it may be, where these are fixed."""
    is_duration: bool = False

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
            is_duration = any(getattr(one, "func", None) is read_seconds for one in field.metadata)
            found[key] = SettingSpec(
                key=key,
                default=field.default,
                description=field.description or "",
                allowed=_allowed(field.annotation, field.metadata, is_duration=is_duration),
                masked=SecretStr in get_args(field.annotation) or field.repr is False,
                choices=_choices(field.annotation),
                is_duration=is_duration,
            )
    return found


@cache
def sections() -> Mapping[str, Any]:
    """Return the model of each section by its name."""
    return {name: field.annotation for name, field in Settings.model_fields.items()}


def _choices(annotation: object) -> tuple[str, ...]:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _allowed(annotation: object, metadata: list[Any], *, is_duration: bool) -> str:
    """Return the allowed values, in words that follow "must be"."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    args = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(args)
    if get_origin(annotation) is tuple:
        return "a list of paths" if args[0] is Path else "a list of strings"
    if annotation in (int, float):
        noun = "a whole number" if annotation is int else "a duration" if is_duration else "a number"
        word, low = next(
            ("from", bound.ge) if isinstance(bound, Ge) else ("above", bound.gt)
            for bound in metadata
            if isinstance(bound, Ge | Gt)
        )
        high = next(bound.le for bound in metadata if isinstance(bound, Le))
        low, high = (
            str(bound)
            if not isinstance(bound, int | float)
            else duration_text(bound)
            if is_duration
            else f"{bound:.12g}"
            for bound in (low, high)
        )
        return f"{noun} {word} {low} to {high}"
    if annotation is bool:
        return "true or false"
    return "a path" if Path in args else "a string"


def setting_toml(spec: SettingSpec, value: object) -> str:
    """Return a setting's value as TOML; a duration from an hour on as text, `"30d"`."""
    if spec.is_duration and isinstance(value, float) and value >= HOUR_S:
        return toml_value(duration_text(value))
    return toml_value(value)


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
            "properties": {
                name: _plain(raw) | _duration(setting_specs()[f"{section}.{name}"])
                for name, raw in model["properties"].items()
            },
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "reaper.toml",
        "description": schema["description"],
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def schema_json() -> str:
    """Return the JSON Schema as the text of its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _plain(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a property without Pydantic's titles and without null as a type or default."""
    branches = [branch for branch in raw.get("anyOf", ()) if branch != {"type": "null"}]
    merged = {**(branches[0] if branches else {}), **raw}
    default = "" if merged.get("default") is None else merged["default"]
    return {name: value for name, value in merged.items() if name not in ("anyOf", "title")} | {"default": default}


def _duration(spec: SettingSpec) -> dict[str, object]:
    """Return the schema of a duration: a number within its bounds, or text. Nothing for other settings."""
    if not spec.is_duration:
        return {}
    return {"type": ["number", "string"], "pattern": DURATION_PATTERN, "examples": list(DURATION_EXAMPLES)}
