"""Logs: the token is in no line, whatever it was put into; foreign records come out in the same form."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from reaper.telemetry import logs
from reaper.telemetry.redaction import MASK

TOKEN = 'archal_ws_s3cr"et/é\\x'


@dataclass
class Holder:
    inner: str


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    logs.reset()


def configured(log_format: str = "json", level: str = "info", secrets: tuple[str, ...] = (TOKEN,)) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(
        SimpleNamespace(log_format=log_format, log_level=level, log_schema="plain"), stream, secrets=lambda: secrets
    )
    return stream


def fail(*, token: str) -> None:
    raise ValueError(f"bad header {token!r}") from OSError(f"inner {token}")


def clean(text: str) -> bool:
    return not any(part in text for part in (TOKEN, "s3cr", "archal_ws"))


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_token_is_masked_wherever_it_stands(log_format: str) -> None:
    stream = configured(log_format)
    log = logs.get()
    log.info(f"event with {TOKEN}")
    log.info("field", value=f"Bearer {TOKEN}")
    log.info("nested", value={"headers": [("authorization", TOKEN)], TOKEN: {TOKEN}})
    log.info("object", value=Holder(TOKEN), raw=TOKEN.encode("latin-1").decode("latin-1"))
    log.info("url", value="https://h/?token=archal_ws_s3cr%22et%2F%C3%A9%5Cx")
    try:
        fail(token=TOKEN)
    except ValueError:
        log.error("failed", exc_info=True)
        logging.getLogger("some.package").exception("while sending %s", TOKEN)
    text = stream.getvalue()
    assert clean(text)
    assert text.count(MASK) >= 9
    assert "ValueError" in text
    assert "OSError" in text


def test_json_lines_are_whole_and_begin_with_time_level_event() -> None:
    stream = configured()
    logs.get().warning("api.paused", reason="throttled", count=3, none=None)
    logging.getLogger("some.package").warning("slow %s", "disk")
    logging.getLogger("some.package").info("not logged")
    own, foreign = (json.loads(line) for line in stream.getvalue().splitlines())
    assert list(own)[:3] == ["timestamp", "level", "event"]
    assert (own["level"], own["event"], own["count"], own["none"]) == ("warning", "api.paused", 3, None)
    assert own["timestamp"].endswith("Z")
    assert (foreign["event"], foreign["level"], foreign["logger"]) == ("slow disk", "warning", "some.package")


def test_what_a_queue_has_to_say_is_an_event_with_a_stable_name() -> None:
    stream = configured()
    logging.getLogger("reaper.queues.sqlite.watch").warning("the ledger %s got a second name", "/l.db")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["detail"]) == (
        *("reaper.noted", "warning"),
        "the ledger /l.db got a second name",
    )
    assert "logger" not in line


def test_a_rotated_token_is_masked_and_a_short_one_does_not_break_the_json() -> None:
    seen = ["1"]
    stream = io.StringIO()
    logs.configure(
        SimpleNamespace(log_format="json", log_level="info", log_schema="plain"), stream, secrets=lambda: tuple(seen)
    )
    logs.get().info("a1", n=11)
    seen.append("second-token")
    logs.get().info("b", value="second-token")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["event"] == f"a{MASK}"
    assert second["value"] == MASK


def test_the_level_follows_a_new_configuration() -> None:
    configured(level="info")
    logs.get().debug("not seen")
    stream = configured(level="debug")
    logs.get().debug("seen")
    assert "seen" in stream.getvalue()


@dataclass
class ClosedPipe:
    lines: list[str] = field(default_factory=list)

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def test_a_reader_that_left_does_not_stop_the_reaper() -> None:
    settings = SimpleNamespace(log_format="auto", log_level="info", log_schema="plain")
    logs.configure(settings, ClosedPipe(), secrets=tuple)  # type: ignore[arg-type]
    logs.get().info("nobody reads this")
    logging.getLogger("x").error("nor this")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_without_its_socket_the_journal_is_told_a_priority_with_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        settings = SimpleNamespace(log_format=log_format, log_level="debug", log_schema="plain")
        logs.configure(settings, stream, secrets=tuple, journal_socket=str(tmp_path / "away"))
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(logs.get(), level)(f"one.{level}")
        logging.getLogger("library").error("theirs")
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            logs.get().exception("broke")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert [line[:3] for line in lines[:6]] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<3>"]
    assert "theirs" in lines[5]
    assert all(line.startswith("<3>") for line in lines[6:]), "a traceback's lines lost their priority"
    assert len(lines) > 7 if log_format == "console" else json.loads(lines[6][3:])["event"] == "broke"


def test_lines_that_do_not_go_to_the_journal_have_no_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose stderr was redirected to a file inherits the variable all the same."""
    with (tmp_path / "file").open("w+") as stream:
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        logs.configure(SimpleNamespace(log_format="json", log_level="info", log_schema="plain"), stream, secrets=tuple)
        logs.get().warning("plain")
        stream.seek(0)
        assert stream.read().startswith("{")


@pytest.mark.parametrize("closes", [False, True], ids=["stopped", "closed"])
def test_what_a_loop_left_behind_is_written_with_the_next_line(closes: bool) -> None:
    """A loop that ends in the turn of a line never writes it."""
    stream, loop = configured(), asyncio.new_event_loop()

    async def write_and_stop() -> None:
        logs.get().info("one")
        logs.get().info("two")
        loop.stop()

    task = loop.create_task(write_and_stop())
    loop.run_forever()
    assert stream.getvalue() == ""
    if closes:
        loop.close()
    logs.get().info("three")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["one", "two", "three"]
    loop.close()
    assert task.done()


def test_all_lines_of_one_turn_of_the_loop_are_one_write() -> None:
    stream = configured()
    written: list[str] = []
    stream.write = written.append  # type: ignore[assignment, method-assign]

    async def write() -> None:
        for turn in ("first", "second"):
            for number in range(3):
                logs.get().info(f"{turn} {number}")
            await asyncio.sleep(0)

    asyncio.run(write())
    assert [part.count("\n") for part in written] == [3, 3]
