"""The programs from npm that tests run: pinned, from the public registry, in no release."""

from __future__ import annotations

import json
import tomllib

from tests.support.npm import PINNED

ROOT = PINNED.parents[2]
PACKAGE = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))
LOCK = json.loads((PINNED / "package-lock.json").read_text(encoding="utf-8"))["packages"]


def test_every_program_is_pinned_to_one_version() -> None:
    assert LOCK[""]["devDependencies"] == PACKAGE["devDependencies"]
    for name, version in PACKAGE["devDependencies"].items():
        assert version == LOCK[f"node_modules/{name}"]["version"]


def test_every_package_has_its_hash_and_comes_from_the_public_registry() -> None:
    packages = {name: package for name, package in LOCK.items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert package.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/"), name


def test_nothing_of_it_is_what_reaper_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    assert not [one for one in needed if one.startswith("nodejs")]
