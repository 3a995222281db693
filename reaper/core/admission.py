"""The gate's answer to how many sends may start now. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Admission:
    """The number of sends that are allowed to start now.

    When it is 0, `why` has the reason in a word, and `until` the instant at which time alone may change it.
    """

    allowed: int
    why: str | None = None
    until: float | None = None
