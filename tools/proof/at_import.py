"""Mutants of what runs at an import, such as a constant: which lines name what they change."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.proof.mutants import Mutant


def names_bound(source: bytes, one: Mutant) -> Iterator[str]:
    """Yield the names that the statement around a mutant at import binds: constants, a function, a class."""
    for node in ast.parse(source).body:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        if not first <= one.line <= (node.end_lineno or first):
            continue
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def names_used(root: Path, paths: Iterable[str], one: Mutant) -> dict[str, Iterable[int]]:
    """Return the lines that name what a mutant at import changes, and those of the function or the class itself."""
    source = (root / one.path).read_bytes()
    names = set(names_bound(source, one))
    if not names:
        return {}
    word = re.compile(rb"\b(" + b"|".join(name.encode() for name in names) + rb")\b")
    used: dict[str, Iterable[int]] = {}
    for path in paths:
        lines = (root / path).read_bytes().splitlines()
        used[path] = {number for number, line in enumerate(lines, 1) if word.search(line)}
    for node in ast.parse(source).body:
        if getattr(node, "name", None) in names:
            used[one.path] = {*used.get(one.path, ()), *range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return used
