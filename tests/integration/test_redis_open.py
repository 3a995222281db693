"""The Redis server's settings, rights and names: what is warned of, what is enough, what is refused.

It has a little more than 300 lines: all of it concerns the start on one kind of server.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from redis.exceptions import BusyLoadingError, ClusterDownError, InvalidResponse, MovedError, RedisError, ResponseError

from reaper.core.errors import ConfigError, QueueError, QueueUnavailableError
from reaper.core.model import Outcome, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.redis import schema, scripts
from reaper.queues.redis.errors import translated
from reaper.queues.redis.open import open_redis
from reaper.queues.redis.schema import too_old, warnings_of
from reaper.queues.redis.url import parse_url
from reaper.queues.selection import Selection
from reaper.queues.values import Batch, InvalidLine
from tests.support.eventually import eventually_async
from tests.support.queues.harness import cancel_one, ended, postpone_one
from tests.support.queues.redis_server import (
    KeptPositions,
    RedisServer,
    connected,
    free_port,
    ids,
    opened,
    shared_server,
)

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs" / "queues-redis.md"


async def warned(url: str) -> tuple[str, ...]:
    """Open and close the queue; return the warnings."""
    queue, _, warnings = await open_redis(
        url, create=True, read_only=False, worker=True, positions=lambda identity: KeptPositions()
    )
    await queue.close()
    return warnings


async def test_a_server_that_forgets_is_warned_of(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--maxmemory-policy", "allkeys-lru", appendonly="no")
    server.start()
    try:
        assert ["appendonly" in text or "allkeys-lru" in text for text in await warned(server.url())] == [True, True]
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (("yes", "always", "noeviction"), []),
        (("yes", "everysec", "noeviction"), ["two seconds"]),
        (("yes", "no", "noeviction"), ["appendfsync is no"]),
        (("no", "always", "volatile-ttl"), ["appendonly", "running `once`"]),
    ],
)
def test_warnings_name_what_is_at_risk(settings: tuple[str, str, str], named: list[str]) -> None:
    found = warnings_of(dict(zip(("appendonly", "appendfsync", "maxmemory-policy"), settings, strict=True)))
    assert len(found) == len(named)
    assert all(word in text for word, text in zip(named, found, strict=True))


async def everything(queue: Queue) -> None:
    """Call every method once, on rows of each kind."""
    mine = queue.new_set()
    await queue.add(Batch("test", ids("a", "b", "c", "d").items, [InvalidLine(1, "why", "?")]), into=mine)
    one, two = await queue.claim(2, lease_s=60, within=mine)
    assert await ended(queue, one, Settle(Outcome.FORBIDDEN), Send(1.0, 0.1, 403))
    await cancel_one(queue, two.session_id, reason="why", by="who")
    await queue.maintain(1e9)
    await queue.heartbeat(4, [])
    assert len(await queue.live_workers()) == 1
    await postpone_one(queue, SessionId("c"), 60)
    assert await queue.make_due(retries=True) == 1
    assert await queue.reopen([one.session_id], reason="why", by="who") == 1
    assert await queue.purge([one.session_id]) == 0
    await queue.pause(None)
    assert await queue.paused() is None
    assert await queue.compare_and_set("account", "x", was=None)
    assert await queue.compare_and_set("account", None, was="x")
    assert await queue.read_value("account") is None
    assert await queue.positions() == []
    assert await mine.include_due() == 4
    assert len([name async for name in mine.ids()]) == 4
    assert (await mine.view()).open == 4
    assert await mine.next_at() is not None
    assert await queue.next_at() is not None
    assert (await queue.audit()).balanced
    assert [item async for item in queue.outcomes()] == []
    assert len([item async for item in queue.select(Selection(source="te"))]) == 4
    assert sum((await queue.count(Selection())).values()) == 4
    assert [line.reason for line in await queue.invalid_lines()] == ["why"]
    assert await queue.retrying(1) == []
    await queue.close()


async def test_the_documented_rights_are_enough_and_forbid_the_rest(own_server: RedisServer) -> None:
    rules = re.findall(r"^ACL SETUSER .*$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rules) == 2
    for rule in rules:
        assert own_server.ask(*rule.split()) == "+OK\r\n"
    assert own_server.ask("XADD", "{reaper}:inbox", "*", "session_id", "from-outside").startswith("$")
    assert own_server.ask("CONFIG", "SET", "appendfsync", "everysec") == "+OK\r\n"
    (warning,) = await warned(own_server.url(auth="reaper:PASSWORD@"))
    assert "two seconds" in warning
    queue = await opened(own_server.url(auth="reaper:PASSWORD@"))
    assert (await queue.claim(1, lease_s=60))[0].session_id == "from-outside"
    await queue.close()
    connection = connected(own_server.url(auth="reaper:PASSWORD@"))
    with pytest.raises(QueueError, match="forbids"):
        await connection.execute("FLUSHALL")
    await connection.close()
    assert own_server.ask("FLUSHALL") == "+OK\r\n"
    await everything(await opened(own_server.url(auth="reaper:PASSWORD@")))
    assert own_server.ask("ACL", "SETUSER", "reaper", "-config", "-info") == "+OK\r\n"
    assert ["cannot be checked" in text for text in await warned(own_server.url(auth="reaper:PASSWORD@"))] == [True]


def test_the_documented_rights_name_each_command_of_each_script() -> None:
    (rule,) = re.findall(r"^ACL SETUSER reaper .*$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    allowed = {right.partition("|")[0] for right in re.findall(r"\+(\S+)", rule)}
    texts = [path.read_text(encoding="utf-8") for path in Path(scripts.__file__).parent.glob("*.lua")]
    used = {name.lower() for text in texts for name in re.findall(r"call\('([A-Z]+)'", text)}
    assert len(used) > 30
    assert used <= allowed


async def test_no_message_contains_the_password(own_server: RedisServer) -> None:
    assert own_server.ask("ACL", "SETUSER", "u", "on", ">right", "~*", "+@all") == "+OK\r\n"
    with pytest.raises(QueueUnavailableError, match="refused the user or the password") as caught:
        await opened(own_server.url(auth="u:hunter2@"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
    assert "hunter2" not in repr(parse_url(own_server.url(auth="u:hunter2@")))


async def test_a_cluster_node_serves_it_all_in_one_slot(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    server.start_or_skip("'cluster-port", "the port of this server's cluster cannot be set")
    try:
        assert server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == "+OK\r\n"
        await eventually_async(lambda: "cluster_state:ok" in server.ask("CLUSTER", "INFO"), 20, every_s=0.05)
        await everything(await opened(server.url()))
    finally:
        server.kill()


async def test_a_reading_queue_begins_and_changes_nothing(prefix: str) -> None:
    def nowhere(identity: str) -> KeptPositions:
        return KeptPositions()

    url = shared_server().url(prefix)
    for read_only, create in ((True, True), (False, False)):
        with pytest.raises(QueueError, match="there is no queue"):
            await open_redis(url, create=create, read_only=read_only, worker=False, positions=nowhere)
    writing = await opened(url)
    shared_server().ask("XADD", f"{{{prefix}}}:inbox", "*", "session_id", "a")
    reading, begun, _ = await open_redis(url, create=False, read_only=True, worker=False, positions=nowhere)
    assert not begun
    assert await reading.next_at() is None, "reading takes nothing out of the inbox"
    assert await reading.new_set().include_due() == 0
    for change in (
        reading.add(ids("b")),
        reading.claim(1, lease_s=1),
        reading.maintain(1),
        cancel_one(reading, SessionId("a"), reason="", by=""),
        reading.purge([]),
        reading.pause(None),
        reading.compare_and_set("x", "y", was=None),
    ):
        with pytest.raises(QueueError, match="reading only"):
            await change
    await reading.close()
    await writing.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis:///0",
        "valkey://h/0",
        "redis://h:port/0",
        "redis://h/a",
        "redis://h?x=1",
        "redis://h?prefix={a}",
        "redis://h?ca_file=/x",
    ],
)
def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_url(url)


def test_a_url_names_its_parts() -> None:
    target = parse_url("rediss://me:p%40ss@[::1]:7000/3?prefix=x&ca_file=/ca.pem")
    assert (target.host, target.port, target.db, target.tls, target.ca_file) == ("::1", 7000, 3, True, "/ca.pem")
    assert (target.username, target.password, target.tag) == ("me", "p@ss", "{x}")
    assert target.shown == "rediss://[::1]:7000/3"


async def test_a_password_that_is_being_changed_is_waited_for(own_server: RedisServer) -> None:
    assert own_server.ask("ACL", "SETUSER", "u", "on", ">old", "~*", "+@all") == "+OK\r\n"
    queue = await opened(own_server.url(auth="u:old@"))
    assert own_server.ask("ACL", "SETUSER", "u", "resetpass", ">new") == "+OK\r\n"
    own_server.ask("CLIENT", "KILL", "USER", "u")
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(QueueUnavailableError):
            await queue.stats()
    with pytest.raises(QueueUnavailableError, match="refused the user or the password"):
        await queue.add(ids("a"))
    assert own_server.ask("ACL", "SETUSER", "u", ">old") == "+OK\r\n"
    assert (await queue.add(ids("a"))).accepted == 1
    await queue.close()


async def test_a_server_that_got_a_password_refuses_a_long_command_like_a_short_one(own_server: RedisServer) -> None:
    """It answers one of more than ten words with an error of the protocol, before it knows the command."""
    queue = await opened(own_server.url())
    assert own_server.ask("CONFIG", "SET", "requirepass", "secret") == "+OK\r\n"
    many = ids(*map(str, range(20)))
    for _ in range(2):  # the first finds the connection that was made before, and is logged in
        await asyncio.gather(*(queue.add(many) for _ in range(4)), return_exceptions=True)
    calls = [queue.add(many) for _ in range(4)]
    refused = [one for one in await asyncio.gather(*calls, return_exceptions=True) if isinstance(one, Exception)]
    assert refused, "new connections are not logged in"
    for error in refused:
        assert isinstance(error, QueueUnavailableError)
        assert "refused the user or the password" in str(error)
    await queue.close()


async def test_a_missing_right_is_named_and_not_waited_for(own_server: RedisServer) -> None:
    assert own_server.ask("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-zadd") == "+OK\r\n"
    queue = await opened(own_server.url(auth="u:p@"))
    with pytest.raises(QueueError, match="forbids what the queue needs") as caught:
        await queue.add(ids("a"))
    assert not isinstance(caught.value, QueueUnavailableError)
    await queue.close()


async def test_a_newer_queue_is_left_alone(prefix: str) -> None:
    await (await opened(shared_server().url(prefix))).close()
    assert shared_server().ask("HSET", f"{{{prefix}}}:meta", "schema", "4") == ":0\r\n"
    with pytest.raises(QueueError, match="newer reaper"):
        await opened(shared_server().url(prefix))


async def test_a_newer_reaper_that_migrates_a_queue_in_use_ends_its_user(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    shared_server().ask("HSET", f"{{{prefix}}}:meta", "schema", "4")
    with pytest.raises(QueueError, match="newer reaper: use that version") as raised:
        await queue.maintain(1e9)
    assert not isinstance(raised.value, QueueUnavailableError)
    await queue.close()


@pytest.mark.parametrize(
    ("version", "old"), [("5.0.14", True), ("6.0.16", True), ("6.2.0", False), ("7.2.4", False), ("255.x", False)]
)
def test_a_server_too_old_is_known_by_its_version(version: str, old: bool) -> None:
    assert too_old(version) is old


async def test_a_server_too_old_is_refused(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST", (99, 0))
    with pytest.raises(QueueError, match=r"is Redis \d+\..*: the queue needs 6\.2 or newer") as caught:
        await opened(shared_server().url(prefix))
    assert not isinstance(caught.value, QueueUnavailableError)


@pytest.mark.parametrize(
    ("error", "passes", "says"),
    [
        (BusyLoadingError("Redis is loading the dataset in memory"), True, "still reading"),
        (ResponseError("BUSY Redis is busy running a script"), True, "busy"),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True, "replicas"),
        (ResponseError("Error running script: @user_script:9: -OOM command not allowed"), True, "out of memory"),
        (ResponseError("Error running script: @user_script:9: -READONLY You can't write"), True, "replica"),
        (ClusterDownError("The cluster is down"), True, "cluster"),
        (MovedError("7000 10.0.0.1:6379"), True, "node"),
        (ResponseError("ACL failure in script: User u has no permissions to run the 'zadd' command"), False, "forbids"),
        (ResponseError("The user executing the script can't run this command or subcommand"), False, "forbids"),
        (ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False, "cannot be used"),
        (InvalidResponse("Protocol Error: b'HTTP/1.1 400'"), False, "is not Redis"),
    ],
)
def test_faults_that_may_pass_are_distinguished_from_others(
    error: RedisError | OSError, passes: bool, says: str
) -> None:
    translation = translated(error, "redis://h:6379/0")
    assert isinstance(translation, QueueUnavailableError) is passes
    assert says in str(translation)
