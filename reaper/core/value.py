"""One decorator for the values that each session makes: frozen for the type checker alone.

Making a frozen dataclass of ten fields takes three times as long or more (measured on Python 3.11): its `__init__` goes
through `object.__setattr__`. mypy refuses an assignment to either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """Return the decorator of a dataclass that is hashed and compared by its fields, as a frozen one is."""
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]
