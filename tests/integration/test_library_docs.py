"""What docs/library.md shows, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reaper
from tests.support.sandbox import running_sandbox

DOCS = Path(__file__).parents[2] / "docs" / "library.md"
BLOCKS = dict(re.findall(r"<!-- block: (\w+) -->\n```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL))


@pytest.mark.parametrize(
    ("block", "printed"),
    [
        ("script", r"2 sessions in \d\.\d s: 2 already gone\n"),
        (
            "async",
            r"3 sessions in .*: 2 already gone, 1 delayed\n\{'env_2': <Outcome\.ALREADY_GONE.*CANCELLED.*\}\n"
            r"settled already_gone \[404\]\n",
        ),
        ("settings", r"2 sessions in .*: 1 already gone, 1 protected\n"),
    ],
)
def test_a_block_of_the_docs_runs(block: str, printed: str, tmp_path: Path) -> None:
    with running_sandbox(0) as sandbox:
        env = {
            "PATH": os.environ["PATH"],
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "ARCHAL_TOKEN": sandbox.token,
            "REAPER_API__BASE_URL": sandbox.url,
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", BLOCKS[block]],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(printed, done.stdout), done.stdout
    assert done.stderr == ""


def test_every_block_is_run_and_every_method_told() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert text.count("```python") == len(BLOCKS) == 3
    for name in (name for name in vars(reaper.Reaper) if not name.startswith("_")):
        assert f"`{name}(" in text
    for argument in reaper.Options.__annotations__:
        assert f"`{argument}`" in text
