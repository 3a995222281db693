"""Print the public interface of reaper as one stable text: `diff` of the texts of two checkouts shows what changed.

The first part, NAMES, has what programs rely on: options, settings, events, metrics, JSON keys, exit codes, schemas.
The second part, WORDING, has texts for people. This file reads the package and the help; the two beside it run it.
Neither names a module of reaper, so that another layout can be read, too: that of the interpreter that runs this.

    CHECKOUT/.venv/bin/python tools/public_interface.py [--names] > interface.txt
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import enum
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import reaper

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # last: the reaper of the interpreter is the one to read
from tools.public_queues import postgres_schema, redis_schema, sqlite_schema
from tools.public_runs import command, run_daemon, run_verbs, world

ROOT = Path(reaper.__file__).resolve().parents[1]
WIDTH = 110
TABLE = r"<!-- events:[^\n]*-->\n(.*?)<!-- /events -->"

Parts = dict[str, list[str]]


def helps() -> dict[str, str]:
    """Return the help of the root, each verb and each part of a verb."""
    root = command("--help").stdout
    verbs = re.findall(r"^  ([a-z]+) +\S", root.split("\noptions:")[0], flags=re.M)
    with ThreadPoolExecutor(4) as pool:
        found = {
            "": root,
            **dict(zip(verbs, pool.map(lambda verb: command(verb, "--help").stdout, verbs), strict=True)),
        }
        split = {verb: re.findall(r"^ +((?:[a-z]+\|)+[a-z]+)(?: \.\.\.)?$", found[verb], flags=re.M) for verb in verbs}
        parts = [(verb, part) for verb in verbs for part in "|".join(split[verb][:1]).split("|") if part]
        texts = pool.map(lambda words: command(*words, "--help").stdout, parts)
        return found | {" ".join(words): text for words, text in zip(parts, texts, strict=True)}


def usage(text: str) -> list[str]:
    """Return the usage and the options of a help text; `=` stands for a value."""
    options = re.findall(r"^ +(-[^\n]*?)(?:  |$)", text, flags=re.M)
    plain = sorted({re.sub(r" [A-Z][A-Z:]*\b", "=", one) for one in options})
    return [" ".join(re.split(r"\n\n", text)[0].split()), *(f"  {one}" for one in plain)]


def library() -> list[str]:
    """Return each public name with its signature, fields, members or keys."""
    return [line for name in sorted(reaper.__all__) for line in described(name, getattr(reaper, name))]


def described(name: str, found: Any) -> Iterator[str]:
    if not isinstance(found, type):
        yield f"{name}{inspect.signature(found)}" if callable(found) else f"{name}: {type(found).__name__}"
        return
    yield f"class {name}({', '.join(base.__name__ for base in found.__bases__)})"
    if issubclass(found, enum.Enum):
        yield from (f"  {member.name} = {member.value!r}" for member in found)
        return
    if dataclasses.is_dataclass(found):
        yield from (f"  field {one.name}: {one.type}" for one in dataclasses.fields(found))
    elif hasattr(found, "__total__"):
        yield from (
            f"  key {key}: {getattr(kind, '__forward_arg__', kind)}" for key, kind in found.__annotations__.items()
        )
    own = {
        key: value
        for one in reversed(found.__mro__)
        if one.__module__.startswith("reaper")
        for key, value in vars(one).items()
    }
    for key, value in sorted(own.items()):
        if key.startswith("_") or key in ("model_config", "settings_customise_sources"):
            continue
        if isinstance(value, property):
            yield f"  property {key}"
        elif inspect.isfunction(value):
            yield f"  {'async ' * inspect.iscoroutinefunction(value)}{key}{inspect.signature(value)}"
        elif key == "exit_code":
            yield f"  {key} = {value!r}"


def settings() -> tuple[list[str], list[str]]:
    """Return every setting with what a schema says of it, and the descriptions."""
    names, words = [], []
    sections = json.loads(command("config", "schema").stdout)["properties"]
    for section, table in sections.items():
        for key, facts in table["properties"].items():
            words.append(f"{section}.{key}: {facts.pop('description', '')}")
            names.append(f"{section}.{key} {json.dumps(facts, sort_keys=True)}")
    return sorted(names), sorted(words)


def event_names() -> dict[str, str]:
    """Return the constants of the module or class that has most texts like `queue.recovered`, by their values."""
    best: dict[str, str] = {}
    for module in pkgutil.walk_packages(reaper.__path__, "reaper."):
        if module.name.endswith("__main__"):
            continue
        with suppress(ImportError):
            imported = importlib.import_module(module.name)
            for holder in (imported, *filter(inspect.isclass, vars(imported).values())):
                held = [(getattr(holder, key, None), key) for key in vars(holder) if key.isupper()]
                named = [(str(value), key) for value, key in held if isinstance(value, str)]
                best = max(
                    best, {value: key for value, key in named if re.fullmatch(r"[a-z]+\.[a-z_]+", value)}, key=len
                )
    return best


def call_sites(names: Mapping[str, str]) -> list[str]:
    """Return the keywords beside each event in the source: all fields, were they all given by name."""
    constants = {constant: event for event, constant in names.items()}
    fields: dict[str, set[str]] = {event: set() for event in names}
    for file in sorted((ROOT / "reaper").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for first in node.args[:1] if isinstance(node, ast.Call) else ():
                constant = first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", "")
                if isinstance(node, ast.Call) and constant in constants:
                    fields[constants[constant]] |= {one.arg or "**" for one in node.keywords}
    return [f"{event}: {' '.join(sorted(found))}" for event, found in sorted(fields.items())]


def documented_events() -> tuple[list[str], list[str]]:
    """Return event, level and fields of the table in docs/monitoring.md, and its words."""
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \| (.*) \|$", "".join(re.findall(TABLE, page, flags=re.S)), flags=re.M)
    names = [
        f"{event} ({level}): {' '.join(sorted(set(re.findall(r'`([^`]+)`', words))))}" for event, level, words in rows
    ]
    return sorted(names), sorted(f"{event}: {words}" for event, _, words in rows)


# --- the text ---------------------------------------------------------------------------------------------------------


def read() -> tuple[Parts, Parts]:
    """Return names and wordings, by heading."""
    texts, events = helps(), event_names()
    keys, descriptions = settings()
    documented, event_words = documented_events()
    with world() as at:
        run_verbs(at)
        served, page_words, page = run_daemon(at)
        ledger, tables, redis_keys = sqlite_schema(at), postgres_schema(at), redis_schema(at)
    names: Parts = {
        "verbs and options": [line for words, text in texts.items() for line in (f"[reaper {words}]", *usage(text))],
        "reaper.__all__": library(),
        "settings": keys,
        "log events": sorted(events),
        "log events, documented": documented,
        "log events, fields seen": [
            f"{event}: {' '.join(sorted(found))}" for event, found in sorted(at.events.items())
        ],
        "exit codes": at.exits,
        "pages": served,
        "metrics": metrics(page),
        "pytest plugin": plugin(),
        "SQLite": ledger,
        "PostgreSQL": tables,
        "Redis": redis_keys,
    }
    for of, shapes in sorted(at.shapes.items()):
        names[f"JSON of {of}"] = [f"{path}: {' | '.join(sorted(kinds))}" for path, kinds in sorted(shapes.items())]
    words: Parts = {f"reaper {of} --help": text.splitlines() for of, text in texts.items()}
    words |= {"settings": descriptions, "log events": event_words, "pages": page_words}
    words["metrics"] = sorted(re.findall(r"^# HELP .*", page, flags=re.M))
    return names, words | {"log events, keywords in the source": call_sites(events)}


def metrics(page: str) -> list[str]:
    """Return each metric with its type, labels and their values."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, flags=re.M))
    labels: dict[str, dict[str, set[str]]] = {name: {} for name in kinds}
    for sample, inner in re.findall(r"^(\w+)\{(.*)\} ", page, flags=re.M):
        name = sample if sample in kinds else re.sub(r"_(bucket|sum|count)$", "", sample)
        for label, value in re.findall(r'(\w+)="([^"]*)"', inner):
            labels[name].setdefault(label, set()).add("…" if label in ("version", "python") else value)
    shown = {
        name: [f"{label}={','.join(sorted(labels[name][label]))}" for label in sorted(labels[name])] for name in kinds
    }
    return sorted(" ".join((name, kind, *shown[name])) for name, kind in kinds.items())


def plugin() -> list[str]:
    """Return the options and settings that the plugin adds to pytest."""
    asked = [sys.executable, "-m", "pytest", "--help"]
    text = subprocess.run(asked, cwd="/", capture_output=True, text=True, check=False).stdout
    return sorted(re.findall(r"^ +(--reap[\w-]*|reap_\w+ \(\w+\))", text, flags=re.M))


def shown(title: str, parts: Parts) -> Iterable[str]:
    yield f"{'=' * WIDTH}\n{title}\n{'=' * WIDTH}"
    for heading, lines in parts.items():
        yield f"\n## {heading}\n"
        for line in lines:
            yield from textwrap.wrap(
                line, WIDTH, subsequent_indent="      ", break_on_hyphens=False, break_long_words=False
            ) or [""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--names", action="store_true", help="leave the wording out")
    only_names = parser.parse_args().names
    names, words = read()
    for line in (*shown("NAMES", names), *(() if only_names else ("", *shown("WORDING", words)))):
        print(line)


if __name__ == "__main__":
    main()
