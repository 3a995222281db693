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
    path.write_text("\ufeffbatch-1\n\n# gone: batch-2\nbatch-3\r\n")
    assert await asked(OwnersSource(path)) == (frozenset({"batch-1", "batch-3"}), [])
    assert await asked(OwnersSource(path, ("/nonexistent/command",))) == (frozenset({"batch-1", "batch-3"}), [])


async def test_a_command_is_run_without_a_shell() -> None:
    script = "import sys; print('batch-1\\n' + sys.argv[1])"
    source = OwnersSource(command=(sys.executable, "-c", script, "$HOME|x"))
    assert await asked(source) == (frozenset({"batch-1", "$HOME|x"}), [])


async def test_a_command_gets_neither_token_nor_queue_nor_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "ARCHAL_TOKEN": "archal_ws_secret",
        "REAPER_QUEUE__URL": "postgresql://u:hidden@db/reaper",
        "REAPER_API__TOKEN": "archal_ws_secret",
        "CREDENTIALS_DIRECTORY": "/run/credentials/reaper.service",
        "PGPASSWORD": "hidden",
        "REDISCLI_AUTH": "hidden",
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "MY_TOKEN": "archal_ws_secret",
    }
    for name, value in ({"LC_ALL": "C.UTF-8", "TZ": "Europe/Berlin"} | secrets).items():
        monkeypatch.setenv(name, value)
    script = "import os; print('\\n'.join(os.environ))"
    owners, failures = await asked(OwnersSource(command=(sys.executable, "-c", script)))
    assert failures == []
    assert owners is not None
    assert owners >= {"PATH", "LC_ALL", "TZ"}
    assert not owners & secrets.keys()
    named = OwnersSource(command=("env", "KUBECONFIG=/etc/kube", sys.executable, "-c", script))
    assert "KUBECONFIG" in ((await asked(named))[0] or ())


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("import time; print('batch-1'); time.sleep(60)", "did not end within"),
        ("pass", "names no owner"),
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


@pytest.mark.parametrize(
    "line",
    ['"batch-2"', " batch-2", "batch-2,", "batch-2 # ours", "- batch-2", '["batch-2"]', "null", "Error: no such host"],
)
async def test_a_line_that_can_match_nothing_means_that_all_are_alive(tmp_path: Path, line: str) -> None:
    """The batch that it was meant for would seem to have no owner, and its sessions orphaned."""
    path = tmp_path / "owners"
    path.write_text(f"batch-1\n{line}\n")
    printed = OwnersSource(command=("cat", str(path)))
    for source, name in ((OwnersSource(path), str(path)), (printed, "cat")):
        owners, failures = await asked(source)
        assert owners is None
        assert failures[0].startswith(f"discovery.owners: {name}: line 2 can match nothing")
        assert failures[0].endswith("all owners count as alive")


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
