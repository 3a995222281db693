"""The pytest plugin, in test runs of its own against the stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.sandbox import RunningSandbox, running_sandbox

pytest_plugins = ["pytester"]

TWO_TESTS = """
import pytest

@pytest.fixture(scope="session")
def shared(reap):
    return reap("{0}")

def test_one(shared, reap):
    assert shared == "{0}"
    assert reap("{1}") == "{1}"

def test_two(shared):
    assert False, "a failing test leaves its session behind"
"""


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RunningSandbox]:
    for name in [name for name in os.environ if name.startswith(("REAPER_", "ARCHAL_", "PYTEST_XDIST"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with running_sandbox(10, seed=5) as running:
        monkeypatch.setenv("ARCHAL_TOKEN", running.token)
        monkeypatch.setenv("REAPER_API__BASE_URL", running.url)
        yield running


@pytest.fixture
def ids(sandbox: RunningSandbox) -> list[str]:
    return sandbox.do(lambda box: list(box.sessions.active))


def run(pytester: pytest.Pytester, *args: object) -> pytest.RunResult:
    """Run pytest with no plugin but ours: the others take seconds to load."""
    with pytest.MonkeyPatch.context() as alone:
        alone.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_subprocess("-p", "reaper.library.pytest.plugin", *map(str, args))


def reap_lines(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("reap: ")]


def lists(root: Path) -> list[Path]:
    return sorted(root.rglob("*.ids"))


def test_what_a_run_registered_is_stopped_at_its_end(
    pytester: pytest.Pytester, sandbox: RunningSandbox, ids: list[str], tmp_path: Path
) -> None:
    pytester.makepyfile(TWO_TESTS.format(*ids))
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=1, failed=1)
    (line,) = reap_lines(result)
    assert line.startswith("reap: 2 sessions in ")
    assert line.endswith(": 2 stopped")
    assert sandbox.sends == {ids[0]: 1, ids[1]: 1}
    assert lists(tmp_path) == []
    (ledger,) = tmp_path.rglob("reaper.db")
    assert ledger.parent.parent == tmp_path / "state" / "reaper" / "pytest"
    # The same names again are new sessions.
    assert reap_lines(run(pytester))[0].endswith(": 2 already gone")


def test_after_kill_9_the_next_run_cleans_up(
    pytester: pytest.Pytester, sandbox: RunningSandbox, ids: list[str], tmp_path: Path
) -> None:
    file = pytester.makepyfile(f"def test_long(reap):\n    import time\n    reap('{ids[0]}')\n    time.sleep(60)")
    long = subprocess.Popen(
        [sys.executable, "-m", "pytest", file], cwd=pytester.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    eventually(lambda: any(path.read_text() for path in lists(tmp_path)))
    file.write_text("def test_short(): pass")
    # While it lives, another run leaves its sessions alone.
    assert reap_lines(run(pytester)) == []
    assert sandbox.sends == {}
    long.send_signal(signal.SIGKILL)
    long.wait(30)
    (line,) = reap_lines(run(pytester))
    assert line.startswith("reap: 1 session in ")
    assert line.endswith(": 1 stopped (1 left by earlier runs)")
    assert sandbox.sends == {ids[0]: 1}
    assert lists(tmp_path) == []
    assert reap_lines(run(pytester)) == []


def test_what_could_not_be_stopped_is_left_to_the_next_run(
    pytester: pytest.Pytester,
    sandbox: RunningSandbox,
    ids: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REAPER_API__UNAVAILABLE_WAIT_S", "0.2")
    pytester.makepyfile(TWO_TESTS.format(*ids))
    sandbox.down()
    (line,) = reap_lines(run(pytester))
    assert "2 still waiting; stopped early: " in line
    assert "the rest is left to the next run" in line
    sandbox.up()
    monkeypatch.delenv("REAPER_API__UNAVAILABLE_WAIT_S")
    (line,) = reap_lines(run(pytester, "-k", "nothing"))
    assert line.endswith(": 2 stopped (2 left by earlier runs)")
    assert lists(tmp_path) == []


def test_no_reap_leaves_all_to_the_next_run(
    pytester: pytest.Pytester, sandbox: RunningSandbox, ids: list[str], tmp_path: Path
) -> None:
    pytester.makepyfile(TWO_TESTS.format(*ids))
    (line,) = reap_lines(run(pytester, "--no-reap", "--reap-ledger", tmp_path / "mine"))
    assert line.startswith("reap: --no-reap: ")
    assert sandbox.sends == {}
    assert len(lists(tmp_path / "mine")) == 1
    pytester.makeini(f"[pytest]\nreap_ledger = {tmp_path / 'mine'}\nreap_for = 20\n")
    assert reap_lines(run(pytester, "--collect-only")) == []
    (line,) = reap_lines(run(pytester, "-k", "nothing"))
    assert line.endswith(": 2 stopped (2 left by earlier runs)")
    assert (tmp_path / "mine" / "reaper.db").exists()


def test_without_a_token_nothing_happens(
    pytester: pytest.Pytester,
    sandbox: RunningSandbox,
    ids: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ARCHAL_TOKEN")
    pytester.makepyfile(TWO_TESTS.format(*ids))
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    (line,) = reap_lines(result)
    assert line.startswith("reap: 2 registered, nothing is stored or stopped: no API token")
    assert not (tmp_path / "state").exists()
    assert sandbox.counters.requests == 0


def test_the_workers_of_xdist_register_and_the_controller_stops(
    pytester: pytest.Pytester, sandbox: RunningSandbox, ids: list[str], tmp_path: Path
) -> None:
    source = f"import os, pytest\n@pytest.mark.parametrize('one', {ids!r})\ndef test_one(reap, one):\n    reap(one)\n"
    pytester.makepyfile(source + f"    if one == {ids[3]!r}:\n        os._exit(9)\n")
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=9, failed=1)
    (line,) = reap_lines(result)
    assert line.startswith("reap: 10 sessions in ")
    assert line.endswith(": 10 stopped")
    assert lists(tmp_path) == []


def test_mistakes_are_told(
    pytester: pytest.Pytester, sandbox: RunningSandbox, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_bad(reap):\n    reap('env 1')\n")
    result = run(pytester)
    result.stdout.fnmatch_lines(["*UsageError: env 1: character 4 is ' '*"])
    assert reap_lines(result) == []
    pytester.makepyfile(TWO_TESTS.format(*ids))
    pytester.makeini("[pytest]\nreap_for = soon\n")
    (line,) = reap_lines(run(pytester))
    assert "reap_for must be a number of seconds above 0, not 'soon'" in line
    assert "are left to the next run" in line


def test_it_works_inside_an_event_loop(pytester: pytest.Pytester, sandbox: RunningSandbox, ids: list[str]) -> None:
    pytester.makepyfile(test_it=f"import asyncio\n\ndef test_one(reap):\n    reap('{ids[0]}')\n")
    script = textwrap.dedent("""
        import asyncio, pytest
        async def main():
            assert pytest.main(["-q", "test_it.py"]) == 0
        asyncio.run(main())
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=pytester.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": 1 stopped" in done.stdout


@pytest.mark.untraced  # the tracer imports more
def test_a_run_that_registers_nothing_imports_nothing(pytester: pytest.Pytester, sandbox: RunningSandbox) -> None:
    pytester.makeconftest("""
        import sys

        def pytest_unconfigure():
            assert "reaper.library.pytest.plugin" in sys.modules
            heavy = {"anyio", "asyncio", "pydantic", "structlog", "sqlite3", "reaper.app.wiring"}
            assert not heavy & set(sys.modules), heavy & set(sys.modules)
            print("light")
    """)
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, "-s")
    result.stdout.fnmatch_lines(["light*"])
