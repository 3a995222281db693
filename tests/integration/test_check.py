"""The parts of `check` beyond the table of docs/check.md: what is well, what is left as it was, and words."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from reaper.app.check.api import api_lines, ask
from reaper.app.check.line import WAITS, Hindrance, Line, verdict_of
from reaper.app.check.token import find_service, token_fault
from reaper.app.startup import credentials_of
from reaper.core.errors import ConfigError, QueueError, QueueUnavailableError
from reaper.core.model import PauseReason
from reaper.intake.spool_rooms import Rooms
from reaper.queues.open import open_empty_queue, open_queue, probe_queue
from reaper.queues.redis import scripts
from reaper.queues.sqlite import probe as ledger_probe
from reaper.settings.load import load
from tests.support.http.byte_server import ByteServer, running
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import RedisServer

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
REFUSED = b'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"error":"no"}\n'


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hindrances", "words"),
    [
        ((None, None), "would start, and could stop sessions now"),
        ((Hindrance(78), Hindrance(69)), "would end with 78, because of a"),
        ((WAITS, Hindrance(78)), "would wait, and do nothing before the a can be used"),
        ((Hindrance(pause=PauseReason.OPERATOR), Hindrance(78)), "would end with 78, because of b"),
        (
            (Hindrance(pause=PauseReason.OPERATOR), Hindrance(pause=PauseReason.CREDENTIALS)),
            "would start, and stop nothing: paused (operator, credentials)",
        ),
    ],
)
def test_the_first_that_ends_run_counts_before_every_pause(
    hindrances: tuple[Hindrance | None, ...], words: str
) -> None:
    lines = [Line(name, "x", hindrance) for name, hindrance in zip("ab", hindrances, strict=True)]
    verdict = verdict_of(lines)
    assert verdict.line.text == words
    assert verdict.line.ok is verdict.stops_sessions is (hindrances == (None, None))


# --- token and API ----------------------------------------------------------------------------------------------------


def test_a_service_that_has_the_token_is_named_with_the_command_that_asks_as_it(tmp_path: Path) -> None:
    missing = ConfigError("no API token")
    assert token_fault(missing, (str(tmp_path),)).text == "no API token"
    (tmp_path / "other.service").write_text("[Service]\nUser=root\n")
    (tmp_path / "reaper.service").write_text(
        "[Service]\nUser=reaper\nLoadCredential=archal-token:/etc/reaper/token\nExecStart=/opt/reaper/bin/reaper run\n"
        "StateDirectory=reaper\nStateDirectoryMode=0700\n"
    )
    said = token_fault(missing, (str(tmp_path / "none"), str(tmp_path)))
    assert said.hindrance == Hindrance(78)
    assert said.text.startswith("the service reaper.service has one (the credential archal-token), this user has not")
    asks = "--uid=reaper -p LoadCredential=archal-token:/etc/reaper/token -p StateDirectory=reaper"
    assert said.text.endswith(f"{asks} -p StateDirectoryMode=0700 /opt/reaper/bin/reaper check")


def test_the_daemon_is_named_before_the_one_shot_run(tmp_path: Path) -> None:
    for name in ("reaper-once.service", "reaper.service"):
        (tmp_path / name).write_text("[Service]\nLoadCredential=archal-token:/etc/reaper/token\n")
    found = find_service([str(tmp_path)])
    assert found is not None
    assert found.unit == "reaper.service"


def test_a_credential_of_a_drop_in_belongs_to_the_service_beside_it(tmp_path: Path) -> None:
    (tmp_path / "worker.service.d").mkdir()
    (tmp_path / "worker.service.d" / "token.conf").write_text("[Service]\nLoadCredentialEncrypted=archal-token:/x\n")
    (tmp_path / "worker.service").write_text("[Service]\nUser=alice\n")
    found = find_service([str(tmp_path)])
    assert found is not None
    assert (found.unit, found.user) == ("worker.service", "alice")
    assert found.properties == ("LoadCredentialEncrypted=archal-token:/x",)


@pytest.mark.parametrize(("verify", "word"), [("false", "ok"), ("true", "FAIL")])
async def test_a_key_that_may_only_write_is_well_where_nothing_is_read(
    verify: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.toml").touch()
    with running(ByteServer([REFUSED])) as refusing:
        monkeypatch.setenv("REAPER_API__BASE_URL", f"http://127.0.0.1:{refusing.port}")
        monkeypatch.setenv("REAPER_API__VERIFY", verify)
        monkeypatch.setenv("ARCHAL_TOKEN", "archal_ws_x")
        settings = load(tmp_path / "none.toml", {}).settings
        credentials, empty = credentials_of(settings), await open_empty_queue()
        asked = await ask(settings, credentials, empty)
        await empty.close()
    assert [line.word for line in api_lines(settings, credentials, asked)] == [word]


# --- the ledger -------------------------------------------------------------------------------------------------------


async def test_too_little_room_and_a_log_that_grew_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    opened = await open_queue(url, create=True, read_only=False, worker=False)
    assert (await probe_queue(url)).warnings == ()
    monkeypatch.setattr(ledger_probe, "LOW_BYTES", 1 << 62)
    monkeypatch.setattr(ledger_probe, "LARGE_LOG_BYTES", 1)
    low, log = (await probe_queue(url)).warnings
    assert "MiB are free" in low
    assert f"its log {tmp_path}/ledger.db-wal has" in log
    await opened.queue.close()


async def test_a_full_disk_is_an_outage_and_a_file_system_that_is_read_only_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/new/ledger.db"
    monkeypatch.setattr(ledger_probe, "shortage", lambda path: "the disk is full")
    with pytest.raises(QueueUnavailableError, match="the disk is full"):
        await probe_queue(url)
    monkeypatch.setattr("reaper.queues.sqlite.errors.is_read_only", lambda path: True)
    with pytest.raises(QueueError) as found:
        await probe_queue(url)
    assert not isinstance(found.value, QueueUnavailableError)
    assert os.listdir(tmp_path) == []


async def test_what_stands_in_place_of_the_lock_files_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    await (await open_queue(url, create=True, read_only=False, worker=False)).queue.close()
    locks = tmp_path / "ledger.db.owners"
    (locks / ".checkpoint").unlink()
    (locks / ".checkpoint").mkdir()
    for _ in range(2):
        with pytest.raises(QueueError, match=r"ledger\.db\.owners"):
            await probe_queue(url)
        with pytest.raises(QueueError, match=r"ledger\.db\.owners"):
            await open_queue(url, create=True, read_only=False, worker=True)
        if locks.is_dir():
            shutil.rmtree(locks)
            locks.touch()


async def test_a_directory_in_which_others_may_write_is_a_warning(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    home.mkdir()
    url = f"sqlite:///{home}/ledger.db"
    await (await open_queue(url, create=True, read_only=False, worker=False)).queue.close()
    home.chmod(0o777)
    (warning,) = (await probe_queue(url)).warnings
    assert "other users may write in" in warning
    home.chmod(0o1777)
    assert (await probe_queue(url)).warnings == ()


# --- engines ----------------------------------------------------------------------------------------------------------


async def test_postgres_has_no_tables_after_a_probe_and_no_rows_more() -> None:
    server = session_server()
    name = server.create_database()
    url = server.url(name)
    assert (await probe_queue(url)).warnings == ()
    assert server.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'reaper%'", database=name) == [(0,)]
    await (await open_queue(url, create=True, read_only=False, worker=False)).queue.close()
    assert (await probe_queue(url)).warnings == ()
    tables = ("session", "counter", "owner", "set", "member", "invalid_line")
    for table in tables:
        assert server.sql(f"SELECT count(*) FROM reaper_{table}", database=name) == [(0,)], table
    server.empty_database(name)


async def test_postgres_says_who_migrates_an_older_queue() -> None:
    server = session_server()
    name = server.create_database()
    await (await open_queue(server.url(name), create=True, read_only=False, worker=False)).queue.close()
    server.sql("UPDATE reaper_setting SET value = '1' WHERE name = 'schema'", database=name)
    (warning,) = (await probe_queue(server.url(name))).warnings
    assert warning.startswith("it has schema 1")
    server.sql("CREATE ROLE probing LOGIN PASSWORD 'change-me'")
    try:
        server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO probing", database=name)
        with pytest.raises(QueueError, match="may not change its tables"):
            await probe_queue(server.url(name, "probing", "change-me"))
    finally:
        server.empty_database(name)
        server.sql("DROP ROLE probing")


async def test_redis_holds_no_key_more_after_a_probe_by_the_documented_user(own_server: RedisServer) -> None:
    (rule,) = re.findall(r"^ACL SETUSER reaper .*$", (ROOT / "docs/queues-redis.md").read_text(), re.MULTILINE)
    assert own_server.ask(*rule.split()) == "+OK\r\n"
    url = own_server.url(auth="reaper:PASSWORD@")
    assert (await probe_queue(url)).warnings == ()
    assert own_server.ask("DBSIZE") == ":0\r\n"
    await (await open_queue(url, create=True, read_only=False, worker=False)).queue.close()
    before = own_server.ask("DBSIZE")
    assert (await probe_queue(url)).warnings == ()
    assert own_server.ask("DBSIZE") == before
    for right in ("del", "hincrby", "xautoclaim"):
        assert own_server.ask("ACL", "SETUSER", "reaper", f"-{right}") == "+OK\r\n"
    with pytest.raises(QueueError, match=r"\(\+del \+hincrby \+xautoclaim\)"):
        await probe_queue(url)
    assert own_server.ask("HSET", "{reaper}:meta", "schema", "1").startswith(":")
    assert own_server.ask("ACL", "SETUSER", "reaper", "+@all") == "+OK\r\n"
    (warning,) = (await probe_queue(url)).warnings
    assert warning.startswith("it has schema 1")


async def test_redis_without_room_for_a_new_queue_ends_run(own_server: RedisServer) -> None:
    assert own_server.ask("CONFIG", "SET", "maxmemory", "1") == "+OK\r\n"
    with pytest.raises(QueueUnavailableError, match="out of memory"):
        await probe_queue(own_server.url())


def test_the_probe_of_redis_calls_each_command_that_the_scripts_call() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in Path(scripts.__file__).parent.glob("*.lua")}
    probed = texts.pop("probe")
    names = {name for text in texts.values() for name in re.findall(r"(?:call|group)\('([A-Z]+)'", text)}
    tried = set(re.findall(r"'([A-Z]+)'", probed))
    assert len(names) > 30
    assert names - {"TIME"} <= tried, "TIME is called by what all scripts share"


async def test_positions_beside_a_server_need_a_directory(own_server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    await probe_queue(own_server.url(), positions=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(QueueError, match="Not a directory"):
        await probe_queue(own_server.url(), positions=tmp_path / "file" / "state")


# --- the spool --------------------------------------------------------------------------------------------------------


def test_directories_on_two_file_systems_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = Rooms(str(tmp_path / "spool"))
    assert rooms.rehearse() == []
    assert not (tmp_path / "spool").exists()
    rooms.prepare()
    assert (rooms.rehearse(), rooms.split()) == ([], None)
    real, done = os.fstat, (tmp_path / "spool" / "done").stat().st_ino

    def fstat(fd: int) -> os.stat_result:
        found = list(real(fd))
        found[2] += found[1] == done
        return os.stat_result(found)

    monkeypatch.setattr("os.fstat", fstat)
    (warning,) = rooms.rehearse()
    assert warning.startswith(f"done/ of {tmp_path}/spool cannot take files of new/")
    rooms.prepare()
    assert rooms.split() == warning, "run says the same"
    rooms.close()


def test_a_spool_at_the_end_of_a_broken_link_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "spool").symlink_to(tmp_path / "none" / "x")
    rooms = Rooms(str(tmp_path / "spool"))
    for attempt in (rooms.rehearse, rooms.prepare):
        with pytest.raises(ConfigError, match="cannot be made"):
            attempt()
