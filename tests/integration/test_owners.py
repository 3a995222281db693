"""Who is alive: a file or a command; whatever goes wrong means that everybody is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reaper.core.discovery.sightings import Owners
from reaper.intake.discovery.owners import CACHE_S, OwnersSource

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Now:
    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


async def asked(source: OwnersSource) -> tuple[Owners, list[str]]:
    failures: list[str] = []
    source.on_failure = failures.append
    return await source.read(), failures


async def test_without_a_source_everybody_is_alive() -> None:
    assert await asked(OwnersSource()) == (None, [])


async def test_a_file_names_one_batch_per_line(tmp_path: Path) -> None:
    path = tmp_path / "owners"
    path.write_text("\ufeffbatch-1\n\n# gone: batch-2\n  batch-3  \n")
    assert await asked(OwnersSource(path)) == (frozenset({"batch-1", "batch-3"}), [])
    assert await asked(OwnersSource(path, ("/nonexistent/command",))) == (frozenset({"batch-1", "batch-3"}), [])


async def test_a_command_is_run_without_a_shell() -> None:
    script = "import sys; print('batch-1\\n' + sys.argv[1])"
    source = OwnersSource(command=(sys.executable, "-c", script, "$HOME; echo x"))
    assert await asked(source) == (frozenset({"batch-1", "$HOME; echo x"}), [])


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("import time; print('batch-1'); time.sleep(60)", "did not end within"),
        ("pass", "no owner is named"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "decode"),
    ],
)
async def test_a_command_that_fails_means_that_all_are_alive(script: str, why: str) -> None:
    timeout_s = 0.5 if "sleep" in script else 30.0
    owners, failures = await asked(OwnersSource(command=(sys.executable, "-c", script), timeout_s=timeout_s))
    assert owners is None
    assert len(failures) == 1
    assert why in failures[0]
    assert "count as alive" in failures[0]


async def test_a_command_that_is_not_there_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    for source in (OwnersSource(command=("/nonexistent/command",)), OwnersSource(tmp_path / "none")):
        owners, failures = await asked(source)
        assert owners is None
        assert "count as alive" in failures[0]


async def test_a_file_that_is_too_large_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owners beyond the cut would seem dead, and their sessions orphaned."""
    monkeypatch.setattr("reaper.intake.discovery.owners.MAX_BYTES", 20)
    path = tmp_path / "owners"
    path.write_text("batch-1\nbatch-2\n")
    assert await asked(OwnersSource(path)) == (frozenset({"batch-1", "batch-2"}), [])
    path.write_text("batch-1\nbatch-2\nbatch-3\n")
    owners, failures = await asked(OwnersSource(path))
    assert owners is None
    assert "larger than" in failures[0]


async def test_an_answer_is_good_for_a_while_and_trouble_is_told_once(tmp_path: Path) -> None:
    path, now = tmp_path / "owners", Now()
    path.write_text("batch-1\n")
    failures: list[str] = []
    source = OwnersSource(path, on_failure=failures.append, now=now)
    assert await source.read() == frozenset({"batch-1"})
    path.unlink()
    now.at += CACHE_S - 1
    assert await source.read() == frozenset({"batch-1"})
    for _ in range(3):
        now.at += CACHE_S + 1
        assert await source.read() is None
    assert len(failures) == 1
    path.write_text("batch-2\n")
    now.at += CACHE_S + 1
    assert await source.read() == frozenset({"batch-2"})
