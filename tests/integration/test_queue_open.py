"""Opening a queue by its URL: a ledger, and an engine that other machines use too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reaper.core.errors import ConfigError, QueueError
from reaper.queues.open import is_shared, open_queue
from reaper.queues.values import Position
from tests.support.queues.harness import ids
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import shared_server

pytestmark = pytest.mark.anyio

PLACE = Position("/in/x", 7, 11, 64, "aa", 100, 4)


@pytest.fixture(params=["redis", "postgresql"])
def url(request: pytest.FixtureRequest, prefix: str) -> Iterator[str]:
    if request.param == "redis":
        yield shared_server().url(prefix)
    else:
        server = session_server()
        database = server.create_database()
        yield server.url(database)
        server.empty_database(database)


async def test_rows_are_there_and_positions_are_here(url: str, tmp_path: Path) -> None:
    assert is_shared(url)
    opened = await open_queue(
        url, create=True, read_only=False, worker=True, state_dir=lambda: tmp_path, inbox_after_s=1.0
    )
    assert opened.created_path is None
    await opened.queue.add(replace(ids("a"), position=PLACE))
    await opened.queue.close()
    assert sorted({name.partition("-")[0] for name in os.listdir(tmp_path)}) == ["positions"]
    again = await open_queue(url, create=False, read_only=False, worker=True, state_dir=lambda: tmp_path)
    assert await again.queue.positions() == [PLACE]
    assert (await again.queue.stats()).ready == 1
    await again.queue.close()


async def test_without_a_directory_a_position_is_not_lost_in_silence(url: str) -> None:
    opened = await open_queue(url, create=True, read_only=False, worker=True)
    with pytest.raises(QueueError, match="set STATE_DIRECTORY"):
        await opened.queue.add(replace(ids("a"), position=PLACE))
    assert (await opened.queue.stats()).ready == 1
    await opened.queue.close()


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("redis://u:hunter2@h/0", "reaper.queues.redis.open", "redis"),
        ("rediss://u:hunter2@h/0", "reaper.queues.redis.open", "redis"),
        ("postgresql://u:hunter2@h/d", "reaper.queues.postgres.open", "postgres"),
    ],
)
async def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'archal-reaper\[{extra}\]'") as caught:
        await open_queue(url, create=True, read_only=False, worker=True)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["sqlite", "SQLITE"])
async def test_the_scheme_may_be_in_capitals_as_in_the_settings(tmp_path: Path, scheme: str) -> None:
    opened = await open_queue(f"{scheme}://{tmp_path}/x.db", create=True, read_only=False, worker=False)
    await opened.queue.close()
    assert opened.created_path == f"{tmp_path}/x.db"


@pytest.mark.parametrize("url", ["mysql://u:hunter2@db/reaper", "/var/lib/hunter2.db", "sqlite:///a.db?m=hunter2"])
async def test_a_url_that_settings_refuse_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"queue\.url must b") as caught:
        await open_queue(url, create=False, read_only=True, worker=False)
    assert "hunter2" not in str(caught.value)
