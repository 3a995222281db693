"""Through PgBouncer in transaction mode, with fewer connections to the server than the reapers have to it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from reaper.core.model import Outcome
from reaper.core.owners import random_part
from reaper.queues.base import Queue
from tests.support.queues.harness import LEASE_S, STOPPED, ended, ids, sent
from tests.support.queues.postgres_roles import opened
from tests.support.queues.postgres_server import PASSWORD, free_port, missing, session_server, unprivileged

pytestmark = pytest.mark.anyio


@pytest.fixture
def pooled_url() -> Iterator[str]:
    """Start PgBouncer in front of the session's server; yield the URL of a new database behind it."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        missing("has no pgbouncer beside it")
    server, port = session_server(), free_port()
    database = server.create_database()
    directory = server.directory / f"pgbouncer-{port}"
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "users").write_text(f'"postgres" "{PASSWORD}"\n')
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\npool_mode = transaction\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
        f"auth_file = {directory / 'users'}\ndefault_pool_size = 2\nmax_client_conn = 100\n"
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, directory / "pgbouncer.ini"], user=unprivileged(), stdout=log, stderr=log)
    url = server.url(database).replace(f":{server.port}/", f":{port}/")
    try:
        wait_for(url, process, directory / "log")
        yield url
    finally:
        process.kill()
        process.wait()
        server.empty_database(database)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


async def test_three_reapers_share_two_connections(pooled_url: str) -> None:
    async def work(queue: Queue) -> int:
        done = 0
        while leases := await queue.claim(5, lease_s=LEASE_S):
            for held in await asyncio.gather(*(ended(queue, lease, STOPPED, sent()) for lease in leases)):
                assert held
                done += 1
        return done

    async with opened(pooled_url) as one, opened(pooled_url) as two, opened(pooled_url) as three:
        queues = (one, two, three)
        await asyncio.gather(
            *(
                queue.add(ids(*(f"{random_part(queue.owner)}.{n}.{i}" for i in range(10))))
                for queue in queues
                for n in range(20)
            )
        )
        chosen = one.new_set()
        await one.add(ids("of.set"), into=chosen)
        assert len(await one.claim(5, lease_s=LEASE_S, within=chosen)) == 1
        done = await asyncio.gather(*(work(queue) for queue in queues for _ in range(4)))
        assert sum(done) == 600
        for queue in queues:
            await queue.heartbeat(1, [])
            await queue.maintain(1e9)
        assert len(await two.live_workers()) == 3
        assert await three.compare_and_set("n", "1", was=None)
        assert await two.read_value("n") == "1"
        audit = await two.audit()
        assert audit.balanced
        assert audit.stats.settled[Outcome.STOPPED] == 600
        assert audit.stats.in_flight == 1
        assert len([item async for item in one.outcomes()]) == 600


async def test_what_other_clients_set_on_a_shared_connection_does_not_matter(pooled_url: str) -> None:
    """In transaction mode a SET stays on the connection to the server, for whichever client gets it next."""
    async with opened(pooled_url) as queue, opened(pooled_url) as other:
        for _ in range(4):
            async with await psycopg.AsyncConnection.connect(pooled_url, autocommit=True) as client:
                for setting in ("search_path = nowhere", "default_transaction_isolation = serializable"):
                    await client.execute(f"SET {setting}")
                await client.execute("SET default_transaction_read_only = on")
        await asyncio.gather(
            *(one.add(ids(*(f"{random_part(one.owner)}.{n}" for n in range(50)))) for one in (queue, other))
        )
        while leases := await queue.claim(10, lease_s=LEASE_S):
            for lease in leases:
                assert await ended(queue, lease, STOPPED, sent())
        assert (await other.audit()).balanced
