"""Which room may import which (docs: how it is built). Read from the source, imports inside functions included."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reaper

ROOT = Path(reaper.__file__).parent
BASE = ("core", "errors", "__version__")
PROTOCOLS = ("queues.base",)
SETTINGS = tuple(file.stem for file in ROOT.glob("settings*.py"))
BACK_ENDS = ("sqlite", "postgres", "redis", "memory")

# A room may import itself and what is named here; the longest name that fits a module is its room.
ROOMS: dict[str, tuple[str, ...]] = {
    "__init__": ("core.model", "errors", "library", "queues.base", "settings"),
    "__main__": ("cli.health", "cli.main", "__version__"),
    "api": BASE,
    "app": (
        *BASE, *PROTOCOLS, *SETTINGS, "api", "intake", "telemetry", "seams", "worker", "queues.open",
        "identity", "lastlook", "protect",
    ),
    "asking": BASE,
    "cli": (
        *BASE, *PROTOCOLS, *SETTINGS, "api.credentials", "app", "asking", "daemon", "intake", "oneshot", "queues.open",
        "telemetry",
    ),
    "cli.demo": ("sandbox",),
    "cli.health": ("errors", "settings_quick"),
    "cli.main": ("errors", "__version__", "app", "telemetry.journald"),
    "cli.examples": (),
    "cli.parser": ("errors",),
    "cli.progress": ("worker",),
    "cli.sandbox": ("sandbox",),
    "core": (),
    "daemon": (*BASE, *PROTOCOLS, *SETTINGS, "api", "app", "intake", "lifecycle", "reload", "telemetry", "worker"),
    "errors": (),
    "identity": (*BASE, *PROTOCOLS, "seams"),
    "intake": (*BASE, *PROTOCOLS, "api"),
    "lastlook": ("core", "seams"),
    "library": (
        *BASE, *PROTOCOLS, *SETTINGS, "api.credentials", "app", "asking", "intake", "oneshot", "queues.open",
        "telemetry",
    ),
    "lifecycle": (*BASE, "telemetry", "worker"),
    "oneshot": (*BASE, *PROTOCOLS, "lifecycle", "worker"),
    "queues": BASE,
    "protect": BASE,
    "pytest_plugin": ("core.grammar", "core.model", "errors", "library", "pytest_runs", "settings_env"),
    "pytest_runs": (),
    "reach": (*BASE, "seams"),
    "reload": (*BASE, *PROTOCOLS, *SETTINGS, "app", "intake", "telemetry", "worker"),
    "sandbox": (),
    "seams": ("core",),
    "settle": (*BASE, *PROTOCOLS, "reach", "seams"),
    "telemetry": (*BASE, *PROTOCOLS),
    "watch": (*BASE, "worker"),
    "worker": (*BASE, *PROTOCOLS, "reach", "seams", "settle", "watch"),
    **dict.fromkeys(SETTINGS, (*BASE, *SETTINGS)),
}  # fmt: skip

# Which third-party library is used where; anyio everywhere but in the rooms of PLAIN.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "httpx": ("api",),
    "httptools": ("api",),
    "hpack": ("api",),
    "uvloop": ("cli.common",),
    "pytest": ("pytest_plugin",),
    "psycopg": tuple(f"queues.{file.stem}" for file in ROOT.glob("queues/postgres*.py")),
    "redis": tuple(f"queues.{file.stem}" for file in ROOT.glob("queues/redis*.py")),
    "structlog": ("library", "telemetry"),
    "rich": ("cli.board", "cli.progress", "cli.region", "cli.table"),
    "prometheus_client": ("telemetry",),
    "pydantic": (*SETTINGS, "cli.config"),
    "pydantic_core": SETTINGS,
    "pydantic_settings": SETTINGS,
    "annotated_types": SETTINGS,
}
PLAIN = (
    "__init__",
    "__main__",
    "core",
    "errors",
    "sandbox",
    "settings_quick",
    "cli.examples",
    "cli.health",
    "cli.main",
    "cli.parser",
)


def inside(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def faults(root: Path) -> list[str]:
    """Return every import under `root` that the rules forbid."""
    found = []
    for file in sorted(root.rglob("*.py")):
        here = ".".join(file.relative_to(root).with_suffix("").parts)
        for name in imports(file):
            why = fault(here, name)
            if why:
                found.append(f"{here} imports {name}: {why}")
    return found


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def fault(here: str, name: str) -> str | None:
    top = name.split(".")[0]
    if name.startswith("."):
        return "imports are absolute"
    if top == "reaper":
        return own_fault(here, name.removeprefix("reaper").lstrip("."))
    if top in sys.stdlib_module_names:
        return None
    if inside(here, PLAIN):
        return "standard library only"
    if top != "anyio" and not inside(here, LIBRARIES.get(top, ())):
        return "this library has no business here"
    return None


def own_fault(here: str, name: str) -> str | None:
    rooms = [room for room in ROOMS if inside(here, (room,))]
    if not rooms:
        return "a room without a rule"
    # `cli.demo` may what `cli` may and more; the plain entry modules only what they name.
    exact = max(rooms, key=len)
    allowed = ROOMS[exact] if inside(here, PLAIN) else tuple(one for room in rooms for one in ROOMS[room])
    top = here.split(".")[0]
    if top == "queues" and here != "queues.open" and name.startswith("queues."):
        own, other = (part.split(".")[1].split("_")[0] for part in (here, name))
        if other == "open" or (other in BACK_ENDS and other != own):
            return "a back-end knows no other"
    if inside(name, allowed) or (inside(name, (top,)) and not inside(here, ("cli.health",))):
        return None
    return "not a neighbour"


def test_the_rooms_import_only_their_neighbours() -> None:
    assert len(list(ROOT.rglob("*.py"))) > 50
    assert faults(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("core/gate.py", "import anyio"),
        ("core/gate.py", "from reaper import errors"),
        ("core/gate.py", "from reaper.queues.base import Queue"),
        ("worker.py", "from reaper.api.client import Client"),
        ("worker.py", "from reaper.queues import sqlite"),
        ("worker.py", "import httpx"),
        ("cli/once.py", "from reaper.sandbox.server import Sandbox"),
        ("cli/once.py", "def late():\n    import reaper.queues.sqlite"),
        ("cli/health.py", "from reaper.cli.common import say"),
        ("cli/main.py", "import structlog"),
        ("daemon.py", "from reaper.sandbox import serve"),
        ("queues/sqlite_work.py", "from reaper.queues.redis import RedisQueue"),
        ("queues/sqlite.py", "from reaper.telemetry import logs"),
        ("intake/files.py", "from reaper.worker import Worker"),
        ("api/client.py", "from reaper.settings import Settings"),
        ("telemetry/logs.py", "from reaper.settings import Settings"),
        ("sandbox/server.py", "from reaper.core.model import Outcome"),
        ("settings_quick.py", "import pydantic"),
        ("telemetry/logs.py", "from . import events"),
        ("novelty.py", "import reaper.errors"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, file: str, line: str) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(f"import json\n{line}\n")
    assert len(faults(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("cli/demo.py", "from reaper.sandbox.server import Sandbox"),
        ("queues/sqlite.py", "from reaper.queues.sqlite_work import claim"),
        ("queues/open.py", "from reaper.queues.sqlite import open_ledger"),
        ("api/client.py", "import httpx"),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path: Path, file: str, line: str) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(line)
    assert faults(tmp_path) == []
