"""The house keeps its order: few entries at the root, the same file names in each engine, tests apart from helpers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import reaper

ROOT = Path(reaper.__file__).parents[1]
MAX_ROOT_ENTRIES = 13
MAX_LINES = 300
ENGINES = ("sqlite", "postgres", "redis")
IN_EACH_ENGINE = [
    "open",
    "schema",
    "rows",
    "intake",
    "claims",
    "operators",
    "maintenance",
    "run_sets",
    "audit",
    "errors",
]
KINDS = sorted(
    path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name not in ("support", "__pycache__")
)


def test_the_root_of_the_package_is_short_enough_to_read() -> None:
    packages = {path.parent.name for path in (ROOT / "reaper").glob("*/__init__.py")}
    modules = {path.name for path in (ROOT / "reaper").glob("*.py")}
    assert len(packages | modules) <= MAX_ROOT_ENTRIES


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_has_the_same_file_names(engine: str) -> None:
    found = {path.stem for path in (ROOT / "reaper/queues" / engine).glob("*.py")}
    assert set(IN_EACH_ENGINE) - found == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_tests_holds_tests_alone(kind: str) -> None:
    """What tests share is in tests/support; nothing imports one test's module from another."""
    modules = list((ROOT / "tests" / kind).rglob("*.py"))
    assert modules
    assert [path.name for path in modules if path.name != "conftest.py" and not path.name.startswith("test_")] == []


@pytest.mark.parametrize("folder", ["tests", "tools", "bench"])
def test_no_module_imports_a_test(folder: str) -> None:
    kinds = tuple(f"tests.{kind}" for kind in KINDS)
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(kinds)
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["reaper", "tests", "tools", "bench"])
def test_a_file_of_more_than_300_lines_says_why(folder: str) -> None:
    """CONTRIBUTING.md: it needs a split, or the first words in it say why it is one."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        lines = (text := path.read_text(encoding="utf-8")).count("\n")
        about = " ".join((ast.get_docstring(ast.parse(text)) or "").split()) if lines > MAX_LINES else ""
        if lines > MAX_LINES and not re.search(r"[Oo]ne (table|file|class)|300 lines", about):
            found.append(f"{path.relative_to(ROOT)}: {lines}")
    assert found == []
