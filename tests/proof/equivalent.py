"""Mutants that change nothing that anybody could see, and why: by file, function, old text, new text, number."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str, str, str, int], str] = {}
