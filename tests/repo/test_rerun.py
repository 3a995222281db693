"""A failure is forgiven only when its test passes alone, and only a few are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tools
from tools.rerun import MAX_FLAKY

FLAKY = """
def test_flaky_{number}(pytestconfig):
    seen = pytestconfig.rootpath / "seen-{number}"
    first = not seen.exists()
    seen.touch()
    assert not first
"""


def rerun(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(text)
    words = [sys.executable, "-m", "tools.rerun", "-q", "-p", "no:cacheprovider", *options, "test_it.py"]
    environ = os.environ | {"PYTHONPATH": str(Path(tools.__file__).parents[1])}
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")], ids=["one process", "two"])
def test_a_test_that_passes_alone_is_named_as_flaky(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = rerun(tmp_path, FLAKY.format(number=1) + "def test_other():\n    pass\n", *options)
    assert done.returncode == 0, done.stdout
    assert "FLAKY    " in done.stdout
    assert "test_flaky_1: failed above, and passed alone" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "1 passed in" in done.stdout


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    done = rerun(tmp_path, FLAKY.format(number=1) + "def test_wrong():\n    assert False\n")
    assert done.returncode == 1
    assert "FLAKY" not in done.stdout


def test_many_failures_are_not_run_again(tmp_path: Path) -> None:
    done = rerun(tmp_path, "".join(FLAKY.format(number=number) for number in range(MAX_FLAKY + 1)))
    assert done.returncode == 1
    assert "once more" not in done.stdout


def test_an_option_with_a_value_is_kept(tmp_path: Path) -> None:
    done = rerun(tmp_path, FLAKY.format(number=1) + "def test_out():\n    assert False\n", "-k", "flaky")
    assert done.returncode == 0, done.stdout


def test_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert rerun(tmp_path, "").returncode == 5
