"""The packages that an installation consists of, by uv.lock, and the license of each, by its own metadata."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BASE = "reaper itself"
REVIEWED = {
    "Apache-2.0",
    "Apache-2.0 AND BSD-2-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "LGPL-3.0-only",
    "MIT",
    "MIT OR Apache-2.0",
    "MPL-2.0",
    "PSF-2.0",
}
"""License expressions (SPDX) that somebody read and found fit to be used beside Apache-2.0, unchanged, as packages."""

BY_CLASSIFIER = {"License :: OSI Approved :: MIT License": "MIT"}
SAID_OTHERWISE = {
    "async-timeout": "Apache-2.0",  # for Python before 3.11.3 only, so it is not installed here
    "tzdata": "Apache-2.0",  # for Windows only, unless some tool brings it
    "uvloop": "MIT OR Apache-2.0",  # "MIT License" in the one field, both in the classifiers, and both texts
}


class LicenseUnknownError(Exception):
    """A package whose metadata names no license, or one that nobody has reviewed."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of others: `needed_by` has BASE or the names of extras; `libraries` are shared libraries inside it."""

    name: str
    version: str
    license: str
    needed_by: tuple[str, ...]
    libraries: tuple[str, ...]


def packages() -> list[Package]:
    """Return all that an installation with every extra consists of, by name.

    Raises LicenseUnknownError.
    """
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    known = {package["name"]: package for package in locked}
    project = known["archal-reaper"]
    roots = {BASE: project["dependencies"], **project["optional-dependencies"]}
    reached = {root: _reached(known, needs) for root, needs in sorted(roots.items())}
    names = sorted(set().union(*reached.values()))
    found = []
    for name in names:
        needed_by = (BASE,) if name in reached[BASE] else tuple(root for root in reached if name in reached[root])
        found.append(Package(name, known[name]["version"], license_of(name), needed_by, _libraries(name)))
    return found


def license_of(name: str) -> str:
    """Return the SPDX expression of an installed package's license. Raises LicenseUnknownError."""
    if not (found := SAID_OTHERWISE.get(name)):
        try:
            facts = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            raise LicenseUnknownError(f"{name} is not installed, so its license cannot be read") from None
        by_classifier = [BY_CLASSIFIER[line] for line in facts.get_all("Classifier", []) if line in BY_CLASSIFIER]
        stated = [facts[field] for field in ("License-Expression", "License") if field in facts]
        found = stated[0] if stated else " OR ".join(by_classifier)
    if found not in REVIEWED:
        raise LicenseUnknownError(f"{name} has the license {found!r}: read it, then add it to REVIEWED in {__file__}")
    return found


def _reached(known: dict[str, dict[str, Any]], needs: Iterable[dict[str, Any]]) -> set[str]:
    """Return the names of packages that are needed, on whatever platform, directly and by others."""
    reached: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(need["name"], extra) for need in needs for extra in ("", *need.get("extra", []))]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        reached.add(name)
        package = known[name]
        more = package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
        waiting += [(need["name"], wanted) for need in more for wanted in ("", *need.get("extra", []))]
    return reached


def _libraries(name: str) -> tuple[str, ...]:
    """Return the shared libraries of others that a wheel brings along, without version and hash."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return ()
    inside = (file.name for file in files if file.parent.name.endswith(".libs"))
    return tuple(sorted({re.split(r"[-.]", library)[0] for library in inside}))
