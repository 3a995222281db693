"""Holds what reaper really printed against the contract of docs/json.md, more strictly than a user's schema does.

A key that the table does not name is a fault here: it would be unknown to users.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tools.json_contract.documents import DOCUMENTS
from tools.json_contract.events import EVENTS
from tools.json_contract.write import document_schema, event_schema, library_schema

FAMILIES = ("dead", "queue", "config")
OPEN = ("config-show",)
"""Documents that have keys beside the named ones: a section for each key."""
OTHERS = {
    "status": ("trouble", "status-watch"),
    "postpone": ("chosen", "postpone-many"),
    "cancel": ("chosen", "cancel-many"),
}
"""Commands that print one of two documents: the key that tells them apart, and the other document."""


def check_output(words: Sequence[str], stdout: str) -> None:
    """Check the lines that a command line with `--json` printed on stdout."""
    name = document_of(words)
    for line in stdout.splitlines() if name in DOCUMENTS else ():
        found = json.loads(line)
        other = OTHERS.get(name)
        _check(_validator("document", other[1] if other and other[0] in found else name), found, " ".join(words))


def check_lines(stderr: str) -> None:
    """Check those lines of stderr that are JSON objects: log lines, and the error that ends a command."""
    for line in stderr.splitlines():
        if line.startswith("{") and line.endswith("}"):
            found = json.loads(line)
            if "event" in found:
                kind = "event" if found["event"] in EVENTS else "library"
                _check(_validator(kind, found["event"] if kind == "event" else ""), found, "a log line")
            elif "error" in found:
                _check(_validator("document", "error"), found, "an error")


def document_of(words: Sequence[str]) -> str:
    """Return the name of the document that a command line prints; "" for one that prints none."""
    verb = next((word for word in words if word in {*FAMILIES, *(name.split("-")[0] for name in DOCUMENTS)}), "")
    if verb in FAMILIES:
        action = next((word for word in words[words.index(verb) + 1 :] if f"{verb}-{word}" in DOCUMENTS), "")
        return f"{verb}-{action}"
    options = {"once": "--dry-run", "list": "--invalid"}
    option = options.get(verb, "")
    return f"{verb}-{option.removeprefix('--')}" if option in words and option else verb


@cache
def _validator(kind: str, name: str) -> Draft202012Validator:
    schemas = {
        "document": lambda: document_schema(name),
        "event": lambda: event_schema(name),
        "library": library_schema,
    }
    schema = deepcopy(schemas[kind]())  # its parts are shared
    if name not in OPEN and kind != "library":
        _close(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def _close(schema: Any) -> None:
    """Forbid keys that are not named, in a schema and all within it."""
    if isinstance(schema, dict):
        for each in schema.values():
            _close(each)
        if isinstance(schema.get("properties"), dict):
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        for each in schema:
            _close(each)


def _check(validator: Draft202012Validator, found: object, what: str) -> None:
    faults = [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(found)]
    assert not faults, f"{what}: not as docs/json.md says: {faults[:5]}: {json.dumps(found)[:2000]}"
