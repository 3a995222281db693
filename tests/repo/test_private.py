"""Tests use what reaper offers: no private name of it, neither as an attribute, nor imported, nor by its text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import reaper

ROOT = Path(reaper.__file__).parents[1]
NOT_OURS = {
    "_asdict", "_exit", "_fields", "_getframe", "_hypothesis_internal_use_settings", "_make", "_replace",
}  # fmt: skip
"""Names of the standard library and of hypothesis that only look private."""
BY_TEXT = {"setattr", "getattr", "delattr", "hasattr", "patch"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name.strip("_") != "" and name not in NOT_OURS


def private_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each private name of something else that a module uses.

    What the module defines itself is its own: attributes that it sets, functions, classes.
    """
    tree = ast.parse(source)
    own = set(_defined(tree))
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=aliases) if module.split(".")[0] == "reaper":
                names = [*module.split("."), *(alias.name for alias in aliases)]
                yield from ((node.lineno, name) for name in names if is_private(name))
            case ast.Attribute(value=value, attr=name) if is_private(name) and name not in own:
                if not (isinstance(value, ast.Name) and value.id in ("self", "cls")):
                    yield node.lineno, name
            case ast.Call(func=ast.Attribute(attr=function) | ast.Name(id=function), args=args) if function in BY_TEXT:
                texts = [arg.value for arg in args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                yield from (
                    (node.lineno, name)
                    for text in texts
                    for name in text.split(".")
                    if is_private(name) and name not in own
                )
            case _:
                pass


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


def test_no_test_uses_a_private_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in private_names(path.read_text(encoding="utf-8"))
    ]
    assert found == []


PLANTED = {
    "import of a function": "from reaper.queues.open import _shared",
    "import of a module": "from reaper.queues._made_up import shared",
    "attribute of an object": "def test(queue): assert queue._thread",
    "attribute of a module": "from reaper.core import gate\ngate._limit = 3",
    "call": "def test(queue): queue.reader._read()",
    "replaced by its text": "def test(monkeypatch): monkeypatch.setattr('reaper.core.gate._limit', 3)",
    "replaced in an object": "def test(monkeypatch, queue): monkeypatch.setattr(queue, '_thread', None)",
    "read by its text": "def test(queue): assert getattr(queue, '_thread')",
}
OWN = {
    "attribute of the test's class": "class Fake:\n    def __init__(self): self._n = 1\ndef test(): assert Fake()._n",
    "field of a dataclass": "class Fake:\n    _n: int = 0\ndef test(): assert Fake()._n == 0",
    "named tuple": "def test(one): assert one._replace(x=1)",
    "magic name": "import reaper\nROOT = reaper.__file__",
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED.keys())
def test_a_private_name_is_found(source: str) -> None:
    assert list(private_names(source))


@pytest.mark.parametrize("source", OWN.values(), ids=OWN.keys())
def test_what_a_test_defines_is_its_own(source: str) -> None:
    assert list(private_names(source)) == []
