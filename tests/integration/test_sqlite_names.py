"""The names of a ledger: links of both kinds, names that lead nowhere yet, and mounts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reaper.core.errors import QueueError
from reaper.queues.base import Queue
from tests.support.programs import missing
from tests.support.queues.harness import LEASE_S, claim_one, ids, names, stop_one
from tests.support.queues.sqlite_file import held, open_as

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def queue(path: Path, anyio_backend: str) -> Queue:
    """Two IDs, one of them in flight."""
    queue = await open_as(path)
    await queue.add(ids("a", "b"))
    await claim_one(queue)
    return queue


@pytest.mark.parametrize("kind", ["file", "directory", "relative", "dots", "chain"])
async def test_two_names_are_one_ledger(
    path: Path, tmp_path: Path, queue: Queue, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / "name.db"
    match kind:
        case "file":
            name.symlink_to(path)
        case "directory":
            (tmp_path / "elsewhere").symlink_to(path.parent)
            name = tmp_path / "elsewhere" / path.name
        case "relative":
            monkeypatch.chdir(path.parent)
            name = Path(path.name)
        case "dots":
            name = path.parent / ".." / path.parent.name / path.name
        case _:
            (tmp_path / "one").symlink_to(path.parent)
            (tmp_path / "two.db").symlink_to(Path("one") / path.name)
            name.symlink_to("two.db")
    other = await open_as(name)
    await other.maintain(1e9)
    await queue.maintain(1e9)
    assert names(await other.claim(5, lease_s=LEASE_S)) == ["b"], "what the first holds stays with it"
    assert {name for name in os.listdir(f"{path}.owners") if name[0] != "."} == {queue.owner, other.owner}
    await other.close()
    await queue.close()
    assert [one for one in os.listdir(tmp_path) if one.endswith((".owners", "-wal"))] == []


async def test_a_name_that_leads_nowhere_yet_makes_the_ledger_where_it_leads(path: Path, tmp_path: Path) -> None:
    (tmp_path / "name.db").symlink_to(path)
    await (await open_as(tmp_path / "name.db")).close()
    assert path.name in os.listdir(path.parent)


async def test_a_ledger_with_several_hard_links_is_refused(path: Path, tmp_path: Path, queue: Queue) -> None:
    await queue.close()
    os.link(path, tmp_path / "second.db")
    for name in (path, tmp_path / "second.db"):
        with pytest.raises(QueueError, match=r"has 2 names \(hard links\)"):
            await open_as(name)
    os.unlink(tmp_path / "second.db")
    assert await held(path) == {"a", "b"}


async def test_a_hard_link_made_later_is_a_warning(
    path: Path, tmp_path: Path, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    os.link(path, tmp_path / "second.db")
    for _ in range(3):
        await queue.stats()
    assert [record.message for record in caplog.records if "second name" in record.message] == [
        f"the ledger {path} got a second name (hard link): remove it before the next start, or use copies made with "
        "`reaper queue backup`"
    ]
    await stop_one(queue)
    await queue.close()


async def test_a_file_that_is_mounted_alone_is_refused(path: Path, tmp_path: Path, queue: Queue) -> None:
    """As `docker run -v FILE:FILE` does it: the log would lie in the container and end with it."""
    await queue.close()
    said = status_through_a_mount(path, tmp_path)
    assert "is mounted as a single file" in said


def status_through_a_mount(path: Path, tmp_path: Path) -> str:
    other = tmp_path / "with a blank.db"
    other.touch()
    script = 'mount --bind "$1" "$2" && exec python -m reaper status --queue "sqlite://$(echo "$2" | sed "s/ /%20/g")"'
    environ = os.environ | {"PATH": f"{Path('.venv/bin').resolve()}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(path), str(other)]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 69:
        missing("unshare", f"cannot mount here: {done.stderr.strip()}")
    return done.stderr
