"""Standard error with real readers behind it: healthy, slow, standing still, gone, and a terminal that was stopped."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.telemetry.stderr import BEHIND_BYTES, MAX_INFO_BYTES, StderrWriter
from tests.support.eventually import eventually
from tests.support.left_behind import threads

INFO, WARNING = logging.INFO, logging.WARNING
Pipe = tuple[int, int]


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    """The reader's end and the writer's, with a small buffer between them."""
    if request.param == "pipe":
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    else:
        one, two = socket.socketpair()
        two.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reading, writing = one.detach(), two.detach()
    yield reading, writing
    read_all(reading)  # no thread may write to a number that belongs to another file by then
    os.close(reading)
    os.close(writing)


def line(number: int, size: int = 200) -> bytes:
    return f"{number} ".encode().ljust(size - 1, b"x") + b"\n"


def read_all(fd: int, rest_s: float = 0.3) -> bytes:
    """Read until nothing has come for `rest_s`."""
    found = b""
    while select.select([fd], [], [], rest_s)[0] and (part := os.read(fd, 65536)):
        found += part
    return found


def numbers(text: bytes) -> list[int]:
    """Return the numbers of whole lines; fails when a line was cut."""
    assert all(one.endswith(b"x") for one in text.splitlines())
    return [int(one.split()[0]) for one in text.splitlines()]


def test_a_line_that_fits_is_written_at_once_and_needs_no_thread(ends: Pipe) -> None:
    before = threads("stderr")
    writer = StderrWriter(ends[1])
    for number in range(5):
        writer.write([(INFO, line(number)), (WARNING, line(100 + number))])
        assert os.read(ends[0], 65536) == line(number) + line(100 + number)
    assert threads("stderr") <= before


def test_a_slow_reader_loses_nothing_and_slows_the_work(ends: Pipe) -> None:
    writer, total = StderrWriter(ends[1]), 3 * BEHIND_BYTES // 200
    for number in range(total):
        writer.write([(INFO, line(number))])
    found, until = b"", time.monotonic() + 2.5
    while time.monotonic() < until:  # longer than it takes until a reader counts as standing still
        assert writer.is_behind
        found += os.read(ends[0], 300)
        time.sleep(0.05)
    found += read_all(ends[0])
    assert numbers(found) == list(range(total))
    assert not writer.is_behind
    assert writer.take_lost() == {}


def test_a_reader_that_stands_still_loses_lines_info_first(ends: Pipe) -> None:
    writer, total = StderrWriter(ends[1]), 2 * MAX_INFO_BYTES // 200
    for number in range(total):
        writer.write([(INFO, line(number))])
    assert writer.is_behind
    eventually(lambda: not writer.is_behind, 5.0, what="the work goes on beside a reader that takes nothing")
    begun = time.monotonic()
    for number in range(total, 2 * total):
        writer.write([(WARNING if number % 10 == 0 else INFO, line(number))])
    assert time.monotonic() - begun < 1
    assert writer.dropped["info"] > 0
    assert writer.dropped["warning"] == 0
    assert writer.take_lost() == {}, "said only when there is room again"
    found = numbers(read_all(ends[0]))
    assert found == sorted(found)
    assert len(found) + writer.dropped["info"] == 2 * total
    assert {number for number in range(total, 2 * total) if number % 10 == 0} <= set(found)
    eventually(lambda: writer.take_lost() == writer.dropped)
    assert writer.take_lost() == {}


def test_what_is_buffered_is_bounded_whatever_its_level(ends: Pipe) -> None:
    writer = StderrWriter(ends[1])
    for number in range(10_000):
        writer.write([(INFO if number < 1000 else WARNING, line(number, 500))])
    kept = 10_000 - writer.dropped["info"] - writer.dropped["warning"]
    assert kept * len(line(1, 500)) <= (1024 + 128) * 1024, "the buffer, and what the pipe itself took"
    assert writer.dropped["info"] > 900
    assert writer.dropped["warning"] > 5000
    began = time.process_time()
    for number in range(10_000):
        writer.write([(WARNING, line(number, 500))])
    assert time.process_time() - began < 2, "each lost line costs a look at the whole buffer"


def test_the_end_waits_for_a_reader_and_not_for_one_that_stands_still(ends: Pipe) -> None:
    writer = StderrWriter(ends[1])
    for number in range(400):
        writer.write([(INFO, line(number))])
    begun = time.monotonic()
    assert not writer.flush()
    assert 0.9 < time.monotonic() - begun < 2
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(read_all(ends[0])))
    reader.start()
    assert writer.flush()
    reader.join()
    assert numbers(found[0]) == list(range(400))


def test_a_reader_that_is_gone_stops_nothing() -> None:
    reading, writing = os.pipe()
    writer = StderrWriter(writing)
    os.close(reading)
    writer.write([(INFO, line(1)), (WARNING, line(2))])
    assert writer.dropped == {"info": 1, "warning": 1}
    os.close(writing)


def test_a_stopped_terminal_stops_nothing() -> None:
    """Ctrl-S, or a terminal whose window hangs."""
    master, slave = pty.openpty()
    writer = StderrWriter(slave)
    begun = time.monotonic()
    for number in range(1000):
        writer.write([(INFO, line(number))])
    assert time.monotonic() - begun < 1
    shown: list[bytes] = []
    threading.Thread(target=lambda: shown.append(read_all(master, 1))).start()
    assert writer.flush()
    eventually(lambda: bool(shown), 10)
    assert numbers(shown[0].replace(b"\r", b"")) == list(range(1000))


PROGRAM = """
import sys
from reaper.telemetry.stderr import flush_stderr, guard_stderr
guard_stderr()
for number in range(2000):
    print(f"line {number}", file=sys.stderr)
sys.stderr.write("a last line without its end")
flush_stderr()
"""


def test_what_is_printed_is_whole_and_in_order(tmp_path: Path) -> None:
    expected = "".join(f"line {number}\n" for number in range(2000)) + "a last line without its end"
    piped = subprocess.run([sys.executable, "-c", PROGRAM], stderr=subprocess.PIPE, text=True, check=True, timeout=60)
    assert piped.stderr == expected
    with (tmp_path / "file").open("w+") as file:
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=file, check=True, timeout=60)
        file.seek(0)
        assert file.read() == expected


def test_it_is_said_in_the_log_that_lines_are_missing() -> None:
    program = """
import sys, time
from types import SimpleNamespace
from reaper.telemetry import logs
from reaper.telemetry.stderr import flush_stderr, guard_stderr
guard_stderr()
logs.configure(SimpleNamespace(log_format="json", log_level="info", log_schema="plain"), secrets=tuple)
for number in range(1000):
    logs.get().info("intake.noted", number=number, text="x" * 500)
time.sleep(1.2)
for number in range(1000, 2000):
    logs.get().info("intake.noted", number=number, text="x" * 500)
print("ready", flush=True)
sys.stdin.read(1)
flush_stderr()
logs.get().info("intake.noted", number=2000)
flush_stderr()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("x")
        process.stdin.close()
        events = [json.loads(one) for one in process.stderr.read().splitlines()]
    (dropped,) = (event for event in events if event["event"] == "log.dropped")
    assert dropped["level"] == "warning"
    assert dropped["info"] + len(events) - 1 == 2001
    assert events[-1]["number"] == 2000


def test_a_reader_that_is_gone_costs_no_work() -> None:
    # A line that says what was lost is lost, too: were that said, it would go on for ever.
    program = """
import asyncio, sys, time
from types import SimpleNamespace
from reaper.telemetry import logs
from reaper.telemetry.stderr import guard_stderr
guard_stderr()
logs.configure(SimpleNamespace(log_format="json", log_level="info", log_schema="plain"), secrets=tuple)
async def main():
    sys.stdin.read(1)
    begun = time.process_time()
    for _ in range(2):
        logs.get().info("intake.noted")
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    print(time.process_time() - begun < 0.1, logs.dropped())
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        out, _ = process.communicate("x", timeout=60)
    assert out == "True {'info': 2, 'warning': 0}\n"


def test_what_a_failed_write_lost_is_said_when_one_works_again(ends: Pipe) -> None:
    writer, spare = StderrWriter(ends[1]), os.dup(ends[1])
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), ends[1])
    writer.write([(INFO, line(1))])
    assert writer.take_lost() == {}
    os.dup2(spare, ends[1])
    os.close(spare)
    writer.write([(INFO, line(2))])
    assert writer.take_lost() == {"info": 1, "warning": 0}


def test_a_full_pipe_blocks_no_write(ends: Pipe) -> None:
    writer = StderrWriter(ends[1])

    def write() -> None:
        for number in range(1000):
            writer.write([(INFO, line(number))])

    writes = threading.Thread(target=write)
    writes.start()
    writes.join(5)
    blocked = writes.is_alive()
    read_all(ends[0])
    writes.join()
    assert not blocked
