"""The kinds of values in JSON documents, as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from reaper.core.discovery.policy import Action, Rule
from reaper.core.model import Outcome, PauseReason, State

Schema: TypeAlias = dict[str, Any]

COUNT: Schema = {"type": "integer", "minimum": 0}
INTEGER: Schema = {"type": "integer"}
SECONDS: Schema = {"type": "number", "minimum": 0}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
OUTCOME: Schema = {"enum": [outcome.value for outcome in Outcome]}
STATE: Schema = {"enum": [state.value for state in State]}
RULE: Schema = {"enum": [rule.value for rule in Rule]}
ACTION: Schema = {"enum": [action.value for action in Action]}
PAUSE_REASON: Schema = {"enum": [reason.value for reason in PauseReason]}
ANY: Schema = {}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an object. One that is not `always` there is left out where it would say nothing."""

    kind: Schema
    text: str
    always: bool = True


Keys: TypeAlias = Mapping[str, Key]


def key(kind: Schema, text: str, *, always: bool = True) -> Key:
    """Return a key."""
    return Key(kind, text, always)


def some(kind: Schema, text: str) -> Key:
    """Return a key that is left out where it would say nothing."""
    return Key(kind, text, always=False)


def nullable(kind: Schema) -> Schema:
    """Return a kind that may also be null."""
    if "enum" in kind:
        return {"enum": [*kind["enum"], None]}
    if isinstance(kind.get("type"), str):
        return {**kind, "type": [kind["type"], "null"]}
    return {"anyOf": [kind, {"type": "null"}]}


def array(kind: Schema) -> Schema:
    """Return the kind of a list, which is always there, empty or not."""
    return {"type": "array", "items": kind}


def mapping(kind: Schema) -> Schema:
    """Return the kind of an object whose keys are data, such as session IDs."""
    return {"type": "object", "additionalProperties": kind}


def per_outcome(text: str = "") -> Schema:
    """Return the kind of an object with a count for every outcome."""
    return record({outcome.value: key(COUNT, text) for outcome in Outcome})


def record(keys: Keys) -> Schema:
    """Return the kind of an object with these keys. Readers must pass over others, which may come later."""
    return {
        "type": "object",
        "properties": {
            name: {**each.kind, **({"description": each.text} if each.text else {})} for name, each in keys.items()
        },
        "required": [name for name, each in keys.items() if each.always],
    }
