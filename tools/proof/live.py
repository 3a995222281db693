"""Put a mutant into the modules of this process, where the tests are imported already. Meant for a forked child.

A mutant inside a function replaces the function's code object, so every holder of the function gets it. One in code
that runs at import, a constant or a default, is computed anew beside the module; plain data is then written to every
place that has the old value. The rest (members of enumerations, tables of objects) can't be put in like this.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tools.proof.at_import import names_bound
from tools.proof.mutants import Mutant

_PLAIN = (int, float, str, bytes, type(None), re.Pattern)
Functions = dict[tuple[str, str, int], list[FunctionType]]


def functions(root: Path, paths: Iterable[str]) -> Functions:
    """Return all functions of these files that live in this process: by file, qualified name and first line."""
    wanted = {str(root / path): path for path in paths}
    found: Functions = {}
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (path := wanted.get(each.__code__.co_filename)):
            found.setdefault((path, each.__code__.co_qualname, each.__code__.co_firstlineno), []).append(each)
    return found


def put_in(root: Path, known: Functions, one: Mutant) -> bool:
    """Put a mutant in. Returns whether that could be done. Raises what the module raises when it is imported so."""
    source = (root / one.path).read_bytes()
    code = compile(one.applied(source), str(root / one.path), "exec")
    if one.scope:
        return _replace(known, one, code)
    module = sys.modules[one.path.removesuffix(".py").replace("/", ".")]
    fresh = ModuleType(module.__name__)
    fresh.__file__ = module.__file__
    exec(code, vars(fresh))  # noqa: S102 - it is our own module
    names = set(names_bound(source, one))
    changed = [_patch(module, fresh, name) for name in names & vars(module).keys()]
    return any(changed)


def _replace(known: Functions, one: Mutant, code: CodeType) -> bool:
    place = (one.scope, one.scope_line)
    new = next((each for each in _codes(code) if (each.co_qualname, each.co_firstlineno) == place), None)
    targets = known.get((one.path, *place), [])
    if new is None:
        return False
    for each in targets:
        each.__code__ = new
    return bool(targets)


def _codes(code: CodeType) -> Iterable[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _patch(module: ModuleType, fresh: ModuleType, name: str) -> bool:
    old, new = vars(module)[name], vars(fresh)[name]
    if isinstance(old, type):
        return _patch_class(old, new)
    function = getattr(old, "__wrapped__", old)
    if isinstance(function, FunctionType):
        return _patch_defaults(function, getattr(new, "__wrapped__", new))
    if not (_is_plain(old) and _is_plain(new)) or old == new:
        return False
    for other in list(sys.modules.values()):
        if other.__name__.startswith(("reaper", "tests")) and vars(other).get(name, sys) is old:
            setattr(other, name, new)
    return True


def _patch_class(old: type, new: type) -> bool:
    changed = False
    for name, value in list(vars(old).items()):
        other = vars(new).get(name)
        inner, fresh = (_function_of(each) for each in (value, other))
        if isinstance(inner, FunctionType) and isinstance(fresh, FunctionType):
            changed |= _patch_defaults(inner, fresh)
        elif not name.startswith("__") and _is_plain(value) and _is_plain(other) and value != other:
            setattr(old, name, other)
            changed = True
    return changed


def _function_of(value: Any) -> Any:
    return getattr(value, "__func__", getattr(value, "fget", value))


def _patch_defaults(old: FunctionType, new: FunctionType) -> bool:
    changed = False
    for name in ("__defaults__", "__kwdefaults__"):
        had, has = getattr(old, name), getattr(new, name)
        before, after = (list(each.values() if isinstance(each, dict) else each or ()) for each in (had, has))
        if any(_is_plain(a) and _is_plain(b) and a != b for a, b in zip(before, after, strict=True)):
            setattr(old, name, _merged(had, has))
            changed = True
    return changed


def _merged(had: Any, has: Any) -> Any:
    """Take the new plain values; objects stay those that everybody else has."""
    if isinstance(had, dict):
        return {name: has[name] if _is_plain(value) else value for name, value in had.items()}
    return tuple(b if _is_plain(a) else a for a, b in zip(had, has, strict=True))


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list, frozenset, set):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(_is_plain(each) for pair in value.items() for each in pair)
    return type(value) in (bool, *_PLAIN)
