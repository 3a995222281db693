"""Writes THIRD-PARTY-NOTICES anew: `python -m tools.notices`, part of `make generated`."""

from __future__ import annotations

import textwrap

from tools.licenses import BASE, ROOT, Package, packages

NOTICES = ROOT / "THIRD-PARTY-NOTICES"
HEAD = """\
Third-party notices of reaper (archal-reaper)

reaper is licensed under the Apache License 2.0, see LICENSE. Its wheel and its source archive contain no code of
others.

An installation consists of reaper and of the packages below. pip, uv or pipx fetches them from the package index. The
container image contains them all. Each package keeps its license texts beside itself, in the folder
NAME-VERSION.dist-info of site-packages; in the image that is below /opt/reaper/lib. The versions are those of uv.lock,
from which the image is built. The base image of the container is not listed here.
"""
LGPL = """\
psycopg and psycopg-binary are licensed under the GNU Lesser General Public License 3.0. They are installed with the
extra [postgres], and are in the image. reaper imports them unchanged, as packages of their own. You may replace them by
a version of yours: install it into the same environment. Their source is at https://github.com/psycopg/psycopg.
"""


def text() -> str:
    """Return the whole file. Raises LicenseUnknownError."""
    found = packages()
    lines = [HEAD, *_table(found), ""]
    for package in found:
        if package.libraries:
            inside = f"The wheels of {package.name} for Linux contain shared libraries: {', '.join(package.libraries)}."
            lines += [*textwrap.wrap(inside, 120), ""]
    lines.append(LGPL)
    return "\n".join(lines)


def _table(found: list[Package]) -> list[str]:
    rows = [("package", "version", "license (SPDX)", "needed by")]
    for package in found:
        extras = ", ".join(name if name == BASE else f"[{name}]" for name in package.needed_by)
        rows.append((package.name, package.version, package.license, extras))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    padded = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    return [padded[0], "  ".join("-" * width for width in [*widths, len(BASE)]), *padded[1:]]


if __name__ == "__main__":
    NOTICES.write_text(text(), encoding="utf-8")
