"""Writes constraints.txt for the release in FOLDER: `uv export … | python tools/constraints.py FOLDER`.

The dependencies come from uv.lock as uv exports them. The release itself is added, with the hashes of its wheel and of
its source archive, so that one file pins and verifies a whole installation.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

HEAD = """\
# {name} {version} and every package that it can need, pinned and hashed. Made from uv.lock by `make constraints`.
# docs/install.md says which installers verify the hashes, and how.
"""
PIN_OR_HASH = re.compile(
    r"[a-z0-9][a-z0-9.-]*==[\w.+!]+( ; [\w.'\"<>=!()/ -]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", re.ASCII
)
"""Nothing else may stand there: no address of an index, no option, no path, no package without a hash."""


def constraints(exported: str, folder: Path) -> str:
    """Return the file's text. Raises ValueError when FOLDER holds no release, or several, or the export is odd."""
    wheels = list(folder.glob("archal_reaper-*.whl"))
    if len(wheels) != 1:
        raise ValueError(f"{folder} holds {len(wheels)} wheels of archal-reaper, and must hold one: make dist")
    version = wheels[0].name.split("-")[1]
    archive = folder / f"archal_reaper-{version}.tar.gz"
    if not archive.exists():
        raise ValueError(f"{archive} is missing: make dist")
    if not exported.strip():
        raise ValueError("the export is empty")
    for line in exported.splitlines():
        if not PIN_OR_HASH.fullmatch(line):
            raise ValueError(f"the export has a line that is neither a pin nor a hash: {line!r}")
    hashes = " \\\n".join(
        f"    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in (*wheels, archive)
    )
    own = f"archal-reaper=={version} \\\n{hashes}\n"
    return HEAD.format(name="archal-reaper", version=version) + own + exported


if __name__ == "__main__":
    try:
        sys.stdout.write(constraints(sys.stdin.read(), Path(sys.argv[1])))
    except ValueError as error:
        sys.exit(f"tools/constraints.py: {error}")
