"""Find the known word that a person meant by a mistyped one: a command, an option, a setting, a variable, a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MIN_PREFIX = 3
"""Letters from which on the beginning of a word counts as that word, when it begins no other."""
_PART = re.compile(r"\.|__")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is near to `word`, None when none is. Neither case nor leading dashes count.

    Near is a word that at most a third of the letters separate, two swapped ones counted once (the rule of cargo);
    else the only word that begins so; else the only one whose last part, as of `api.timeout_s`, is that of `word`; else
    the only one whose last part is nearest to it.
    """
    asked = _plain(word)
    names = {_plain(one): one for one in known}
    near: list[tuple[int, str]] = []
    for name in names:
        limit = max(len(asked), len(name)) // 3
        # The lengths first: a key may be long.
        if abs(len(asked) - len(name)) <= limit and (distance := _distance(asked, name)) <= limit:
            near.append((distance, names[name]))
    if near:
        return min(near, key=lambda found: found[0])[1]
    for alike in (
        [name for name in names if name.startswith(asked) and len(asked) >= MIN_PREFIX],
        [name for name in names if _PART.split(name)[-1] == _PART.split(asked)[-1]],
    ):
        if len(alike) == 1:
            return names[alike[0]]
    return _in_another_section(asked, names)


def _in_another_section(asked: str, names: Mapping[str, str]) -> str | None:
    """Return the known key whose last part is near to that of `asked`, if there is only one that near."""
    word = _PART.split(asked)[-1]
    if word == asked:
        return None
    near: dict[int, list[str]] = {}
    for name in names:
        last = _PART.split(name)[-1]
        limit = max(len(word), len(last)) // 3
        if abs(len(word) - len(last)) <= limit and (distance := _distance(word, last)) <= limit:
            near.setdefault(distance, []).append(names[name])
    nearest_ones = near[min(near)] if near else []
    return nearest_ones[0] if len(nearest_ones) == 1 else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `. Did you mean …?` for the end of an error, empty when no known word is near."""
    near = nearest(word, known)
    return f". Did you mean {near}?" if near else ""


def _plain(word: str) -> str:
    return word.lower().lstrip("-").removeprefix("reaper_")


def _distance(one: str, other: str) -> int:
    """Return how many letters must be changed, added, left out or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        older, before, row = before, row, [i + 1]
        for j, wanted in enumerate(other):
            cost = min(before[j] + (letter != wanted), before[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == wanted:
                cost = min(cost, older[j - 1] + 1)
            row.append(cost)
    return row[-1]
