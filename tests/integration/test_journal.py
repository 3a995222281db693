"""Log lines under systemd: with their fields to the journal's socket, to stderr where that does not take them."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from reaper.telemetry import events, logs
from reaper.telemetry.redaction import MASK
from tests.support.left_behind import descriptors
from tools.json_contract.events import EVENTS

TOKEN = 'archal_ws_s3cr"eté\nof two lines'


@dataclass(slots=True)
class StandIn:
    """A stderr that is the journal's, and the socket beside it."""

    folder: Path
    stream: io.TextIOWrapper
    receiver: socket.socket

    @property
    def path(self) -> str:
        return str(self.folder / "socket")

    def configure(self, log_format: str = "json", schema: str = "plain") -> None:
        settings = SimpleNamespace(log_format=log_format, log_level="debug", log_schema=schema)
        logs.configure(settings, self.stream, secrets=lambda: (TOKEN,), journal_socket=self.path)

    def entries(self) -> list[dict[str, str]]:
        """Return the fields of each datagram so far."""
        found = []
        while True:
            try:
                found.append(parsed(self.receiver.recv(1 << 20)))
            except BlockingIOError:
                return found

    def written(self) -> list[str]:
        """Return the lines that came by the stream."""
        self.stream.seek(0)
        return self.stream.read().splitlines()


def parsed(datagram: bytes) -> dict[str, str]:
    """Read a datagram as journald does."""
    fields: dict[str, str] = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(datagram[:8], "little")
            value, end, datagram = datagram[8 : 8 + length], datagram[8 + length : 9 + length], datagram[9 + length :]
            assert end == b"\n"
        assert name.decode() not in fields
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with (
        (tmp_path / "stderr").open("w+", encoding="utf-8") as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
    ):
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        receiver.setblocking(False)
        stand_in = StandIn(tmp_path, stream, receiver)
        receiver.bind(stand_in.path)
        try:
            yield stand_in
        finally:
            logs.reset()


def settle() -> None:
    logs.get().info(
        events.SESSION_SETTLED,
        session_id="env_123",
        outcome="stopped",
        status=204,
        duration_s=0.25,
        source="ids.txt",
        request_id=None,
    )


@pytest.mark.parametrize("schema", ["plain", "ecs"])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_comes_with_its_fields_and_is_what_the_stream_would_have(
    journal: StandIn, log_format: str, schema: str
) -> None:
    journal.configure(log_format, schema)
    settle()
    (entry,) = journal.entries()
    message = entry.pop("MESSAGE")
    assert entry == {
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "reaper",
        "REAPER_EVENT": "session.settled",
        "SESSION_ID": "env_123",
        "OUTCOME": "stopped",
        "STATUS": "204",
        "DURATION_S": "0.25",
        "SOURCE": "ids.txt",
    }
    assert journal.written() == []

    os.unlink(journal.path)
    settle()
    (line,) = journal.written()
    assert line.startswith("<6>")
    if log_format == "json":
        times = dict.fromkeys(("timestamp", "@timestamp"), "")
        assert json.loads(line[3:]) | times == json.loads(message) | times
    else:
        assert line[3:].split(" ", 1)[1] == message.split(" ", 1)[1]


def test_levels_lists_and_records_of_libraries(journal: StandIn) -> None:
    journal.configure()
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logs.get(), level)(events.SESSION_REOPENED, session_ids=["env_1", "env_2"], charged=True)
    logging.getLogger("httpx").warning("slow %s", "disk")
    *ours, theirs = journal.entries()
    assert [entry["PRIORITY"] for entry in ours] == ["7", "6", "4", "3", "2"]
    assert (ours[0]["SESSION_IDS"], ours[0]["CHARGED"]) == ('["env_1", "env_2"]', "true")
    assert json.loads(theirs.pop("MESSAGE"))["event"] == "slow disk"
    assert theirs == {"LOGGER": "httpx", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "reaper"}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_value_of_several_lines_is_one_entry(journal: StandIn, log_format: str) -> None:
    journal.configure(log_format)
    try:
        raise ValueError("first\nSESSION_ID=forged")
    except ValueError:
        logs.get().exception("broke", detail="a\n\nb\n")
    (entry,) = journal.entries()
    assert entry["DETAIL"] == "a\n\nb\n"
    assert "first\nSESSION_ID=forged" in entry["EXCEPTION"]
    assert "SESSION_ID" not in entry
    assert ("\n" in entry["MESSAGE"]) is (log_format == "console")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_field_holds_a_secret(journal: StandIn, log_format: str) -> None:
    journal.configure(log_format)
    log = logs.get()
    # The sentence of this event shows neither its source nor its request: the fields are masked on their own.
    log.info(events.SESSION_SETTLED, session_id="env_1", outcome="stopped", source=TOKEN, request_id=[{TOKEN: TOKEN}])
    log.info(f"event with {TOKEN}", **{TOKEN: 1, "url": "https://h/?t=archal_ws_s3cr%22et%C3%A9%0Aof%20two%20lines"})
    log.warning("held", nested={"headers": [("authorization", TOKEN)]}, repeated=repr(TOKEN), dumped=json.dumps(TOKEN))
    try:
        raise ValueError(f"bad header {TOKEN!r}") from OSError(TOKEN)
    except ValueError:
        log.exception("failed")
        logging.getLogger("some.package").exception("while sending %s", TOKEN)
    found = journal.entries()
    assert len(found) == 5
    for entry in found:
        for name, value in entry.items():
            assert not any(part in name + value for part in ("s3cr", "S3CR", "two lines", "archal_ws")), (name, value)
    assert (found[0]["SOURCE"], found[0]["REQUEST_ID"]) == (MASK, json.dumps([{MASK: MASK}]))


def test_what_the_socket_does_not_take_goes_to_stderr(journal: StandIn) -> None:
    journal.configure()
    logs.get().info("long", text="x" * 50_000_000)
    (long,) = journal.written()
    assert long.startswith("<6>")
    assert journal.entries() == []

    count = 5000
    for number in range(count):
        logs.get().info("many", number=number)
    by_socket = [int(entry["NUMBER"]) for entry in journal.entries()]
    by_stream = [json.loads(line[3:])["number"] for line in journal.written()[1:]]
    assert by_socket, "a socket that is read takes lines"
    assert by_stream, "nobody reads the socket: it is full"
    assert sorted(by_socket + by_stream) == list(range(count))
    logs.get().info("again")
    assert [entry["REAPER_EVENT"] for entry in journal.entries()] == ["again"]


def test_without_a_socket_at_all_lines_go_to_stderr(journal: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a sandbox that allows no socket of this family."""

    def refused(*_: object) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    with monkeypatch.context() as patched:
        patched.setattr("reaper.telemetry.journald.socket.socket", refused)
        journal.configure()
    settle()
    assert json.loads(journal.written()[0][3:])["session_id"] == "env_123"
    assert journal.entries() == []


def test_a_stderr_that_is_not_the_journal_makes_no_socket(journal: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    journal.configure()
    settle()
    assert journal.entries() == []
    (line,) = journal.written()
    assert json.loads(line)["session_id"] == "env_123"


def test_another_configuration_closes_the_socket_of_the_first(journal: StandIn) -> None:
    journal.configure()
    before = descriptors("socket:")
    for _ in range(5):
        journal.configure("console")
    settle()
    assert len(descriptors("socket:") - before) == 1
    assert [entry["SESSION_ID"] for entry in journal.entries()] == ["env_123"]


def test_no_field_of_an_event_takes_a_name_that_the_journal_gives_a_meaning() -> None:
    reserved = {"message", "priority", "reaper_event", "unit", "user_unit", "tid", "errno", "documentation"}
    prefixes = ("syslog_", "code_", "coredump_", "object_", "message_", "invocation_", "_")
    for event in EVENTS.values():
        for field in event.keys:
            assert field not in reserved, field
            assert not field.startswith(prefixes), field
