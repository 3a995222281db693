"""Entries of the lists that spare sessions: `protect.*` and the live owners (docs/discovery.md). Pure.

An entry that can match nothing protects nobody, and nobody notices. So what spares is read more strictly than what
stops: one such entry makes the whole list unusable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from reaper.core.ids import NO_VALUES

_QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
_assignment = re.compile(r"[A-Za-z_][\w.-]*(\s+=|=\s*[^=\s]|:\s)").match
_listed = re.compile(r"([^\w?]+|\(?\w{1,3}[.)])\s").match
"""A mark or a number with a blank behind it, as lists, tables, quotations and prompts have them."""
_between = re.compile(r"[\s,;]+")
_has_letter = re.compile(r"\w").search


def fault_of_name(entry: str) -> str | None:
    """Return why an entry cannot be meant as the name of a session, batch, scenario or clone; None when it can."""
    if not entry:
        return "it is empty"
    if entry.lower() in NO_VALUES:
        return "programs write it for no value"
    if entry != entry.strip():
        return "it begins or ends with a blank"
    if entry[0] in _QUOTES or entry[-1] in _QUOTES or '"' in entry:
        return "it is quoted: write the name without quotes"
    if entry[-1] == "," or entry[0] == ",":
        return "it begins or ends with a comma: write one name per line"
    if re.search(r"\s#", entry):
        return "it holds a comment: write that on a line of its own, which begins with #"
    if entry == "-" or re.match(r"-\s", entry):
        return "it is an item of a list: write the name alone"
    if not entry.isprintable():
        return "it holds an invisible character"
    if entry[0] in "[{<" or entry in ("]", "}"):
        return "it is JSON, HTML or the head of a table: write one name per line"
    if _assignment(entry):
        return "it is a word with a text behind it, as a setting or a message is: write the name alone"
    return None


def fault_of_entry(entry: str) -> str | None:
    """Return why an entry of `protect.*` can be neither a name nor a pattern with `*` and `?`; None when it can."""
    if fault := fault_of_name(entry):
        return fault
    if "://" in entry:
        return "it is a URL: write its last part"
    if "," in entry or ";" in entry:
        return "it holds a comma or a semicolon: write one name per line, and ? for such a mark in a name"
    if "\\" in entry or entry[0] in "^$!" or entry[-1] in "$|":
        return "it is written for a shell or as a regular expression: only * and ? have a special meaning"
    if "[" in entry or "]" in entry:
        return "brackets have no special meaning: write ? for any one character"
    if entry.startswith("//") or re.search(r"\s//", entry):
        return "it holds a comment: write the name alone"
    if _listed(entry):
        return "it is an item of a list: write the name alone"
    return None


def entries_of(text: str, fault_of: Callable[[str], str | None]) -> list[str]:
    """Return the entries of a file or of an answer: one per line, without blank lines and those that begin with `#`.

    A byte order mark at the start of a line is left out: files were joined. Raises ValueError with a phrase that names
    the first line with a fault.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.removeprefix("\ufeff")
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        if fault := fault_of(entry):
            raise ValueError(f"line {number} can match nothing: {fault}")
        found.append(entry)
    return found


def with_words(entries: Iterable[str]) -> list[str]:
    """Return the entries, and the words of each: where it is several names in one line, every one of them is meant."""
    found = list(entries)
    lines = [entry for entry in found if _between.search(entry)]
    return [*found, *(word for line in lines for word in _between.split(line) if _has_letter(word))]
