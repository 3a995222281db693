"""Finds the objects that another object keeps alive, so that tests of memory need no private names."""

from __future__ import annotations

import asyncio
import gc
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import TypeVar

T = TypeVar("T")

_NOT_OWNED = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    CodeType,
    FrameType,
    asyncio.AbstractEventLoop,
    asyncio.Future,
    asyncio.Handle,
)


def kept(root: object, kind: type[T]) -> list[T]:
    """Return the instances of `kind` that `root` refers to, directly or not: not by way of code or of an event loop."""
    found: list[T] = []
    seen = {id(root)}
    queue = [root]
    while queue:
        for one in gc.get_referents(queue.pop()):
            if id(one) in seen or isinstance(one, _NOT_OWNED):
                continue
            seen.add(id(one))
            queue.append(one)
            if isinstance(one, kind):
                found.append(one)
    return found
