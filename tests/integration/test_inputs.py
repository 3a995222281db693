import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from reaper.core.errors import UsageError
from reaper.intake.events import NOTHING
from reaper.intake.inputs import Input, open_inputs, take_in_file, unread_input
from reaper.intake.line_reader import BATCH_LINES, COMMIT_S
from reaper.queues.values import Added
from tests.support.eventually import eventually_async
from tests.support.intake import RecordingQueue

pytestmark = pytest.mark.anyio


@pytest.fixture
def queue() -> Any:
    return RecordingQueue()


async def test_a_file_is_taken_in_whole_and_left_as_it_was(queue: Any, tmp_path: Path) -> None:
    path = tmp_path / "ids"
    content = b"\xef\xbb\xbfa\r\n\n# c\nb b\na\n" + b"x" * 5000 + b'\n{"id":"d","dueAt":"2030-01-01T12:00:00Z"}\ne'
    path.write_bytes(content)
    before = path.stat()
    batches: list[tuple[Added, list[int]]] = []
    added = await take_in_file(
        queue,
        str(path),
        again=True,
        by="me",
        on_batch=lambda more, parsed: batches.append((more, [w.line for w in parsed.invalid])),
    )
    assert added == Added(3, 1, 2)
    assert queue.rows == {
        "a": (str(path), None),
        "d": (str(path), 1893499200.0),
        "e": (str(path), None),
    }
    assert batches == [(added, [4, 6])]
    assert queue.options == [{"again": True, "or_postpone": False, "by": "me", "default_after_s": 0.0, "into": None}]
    assert queue.batches[0].position is None
    after = path.stat()
    assert path.read_bytes() == content
    assert (before.st_mtime_ns, before.st_mode) == (after.st_mtime_ns, after.st_mode)


async def test_a_large_file_comes_in_batches(queue: Any, tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("".join(f"ses-{number}\n" for number in range(BATCH_LINES * 2 + 1)))
    assert (await take_in_file(queue, str(path))).accepted == BATCH_LINES * 2 + 1
    assert [len(batch.items) for batch in queue.batches] == [BATCH_LINES, BATCH_LINES, 1]


async def test_all_inputs_are_checked_before_any_is_taken_in(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("a\n")
    (tmp_path / "elf").write_bytes(b"\x7fELF\x02\x01\x01\0\0")
    for bad, why in (("none", "No such file"), (".", "is a directory"), ("elf", "looks binary")):
        path = str(tmp_path / bad)
        with pytest.raises(UsageError, match=why) as caught, open_inputs([str(tmp_path / "good"), path]):
            pass
        assert str(caught.value).startswith(path)
    with pytest.raises(UsageError, match="twice"), open_inputs(["-", "-"]):
        pass


async def test_a_stray_nul_far_into_a_file_is_one_invalid_line(queue: Any, tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_bytes(b"# a comment\n" * 1000 + b"a\0\nb\n")
    assert await take_in_file(queue, str(path)) == Added(1, 0, 1)


async def test_a_pipe_is_read_to_its_end_while_the_loop_lives(queue: Any) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        for number in range(20_000):
            os.write(writing, b"s%d\n" % number)
        os.write(writing, b"last")
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    added = await take_in_file(queue, Input("stdin", reading))
    thread.join()
    os.close(reading)
    assert added == Added(20_001, 0, 0)
    assert queue.rows["last"] == ("stdin", None)


async def test_waiting_for_a_silent_pipe_can_be_cancelled(queue: Any) -> None:
    reading, writing = os.pipe()
    with anyio.move_on_after(0.05) as scope:
        await take_in_file(queue, Input("stdin", reading))
    os.close(writing)
    os.close(reading)
    assert scope.cancelled_caught


async def test_a_binary_pipe_is_refused_before_a_line_is_taken(queue: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a\nb\n")
    os.write(writing, b"\0")
    os.close(writing)
    with pytest.raises(UsageError, match="stdin looks binary"):
        await take_in_file(queue, Input("stdin", reading))
    os.close(reading)
    assert queue.batches == []


async def test_a_read_error_midway_says_how_much_was_taken(
    queue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ids"
    path.write_text("".join(f"s{number}\n" for number in range(60_000)))
    read, calls = os.read, []

    def failing(fd: int, most: int) -> bytes:
        calls.append(fd)
        if len(calls) > 2:
            raise OSError(5, "Input/output error")
        return read(fd, most)

    monkeypatch.setattr("reaper.intake.line_reader.os.read", failing)
    with pytest.raises(UsageError, match="Input/output error") as caught:
        await take_in_file(queue, str(path))
    assert queue.lines > BATCH_LINES
    assert f"its first {queue.lines} lines were read" in str(caught.value)


def test_what_waits_on_standard_input_is_noticed_without_reading_it(tmp_path: Path) -> None:
    read, write = os.pipe()
    try:
        assert not unread_input(read)
        os.write(write, b"env_1\n")
        assert unread_input(read)
        assert os.read(read, 100) == b"env_1\n"
    finally:
        os.close(read)
        os.close(write)
    assert not unread_input(read), "a closed one holds nothing"
    (tmp_path / "ids").write_text("env_1\n")
    with (tmp_path / "ids").open("rb", buffering=0) as file:
        assert unread_input(file.fileno())
        file.read()
        assert not unread_input(file.fileno())
    with open(os.devnull, "rb") as nothing:
        assert not unread_input(nothing.fileno())


async def test_lines_that_trickle_are_taken_in_while_the_stream_is_open(queue: Any) -> None:
    reading, writing = os.pipe()
    async with anyio.create_task_group() as around:
        around.start_soon(take_in_file, queue, Input("stdin", reading))
        for number in range(5):
            os.write(writing, b"s%d\nhalf" % number)
            line = f"{'half' * (number > 0)}s{number}"
            await eventually_async(partial(queue.rows.__contains__, line), COMMIT_S + 2)
        os.close(writing)
    os.close(reading)
    assert queue.ids[-1] == "half"


async def test_a_steady_stream_is_taken_in_at_least_every_fifth_of_a_second(queue: Any) -> None:
    # Each line comes before the wait for the next one is over: that must not put the commit off.
    reading, writing = os.pipe()
    async with anyio.create_task_group() as around:
        around.start_soon(take_in_file, queue, Input("stdin", reading))
        for number in range(60):
            os.write(writing, b"s%d\n" % number)
            await anyio.sleep(0.02)
        assert len(queue.ids) > 30
        assert 3 <= len(queue.batches) <= 12
        os.close(writing)
    os.close(reading)


async def test_what_was_read_before_a_cancellation_is_taken_in(queue: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a\nb\n")
    with anyio.move_on_after(COMMIT_S / 4):
        await take_in_file(queue, Input("stdin", reading))
    os.close(writing)
    os.close(reading)
    assert queue.ids == ["a", "b"]


async def test_reading_ends_when_its_time_is_up_and_that_is_said(queue: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a\n")
    cut: list[bool] = []
    begun = anyio.current_time()
    added = await take_in_file(queue, Input("stdin", reading), stop_at=begun + 0.05, on_cut=lambda: cut.append(True))
    assert (added, cut) == (Added(1, 0, 0), [True])
    assert 0.05 <= anyio.current_time() - begun < 1
    os.close(writing)
    await take_in_file(queue, Input("stdin", reading), stop_at=begun + 60, on_cut=lambda: cut.append(True))
    os.close(reading)
    assert cut == [True]


async def test_a_fifo_is_opened_without_its_writer_and_read_when_it_comes(queue: Any, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    cut: list[bool] = []
    with open_inputs([str(path)]) as inputs:
        stop_at = anyio.current_time() + 0.05
        assert await take_in_file(queue, inputs[0], stop_at=stop_at, on_cut=lambda: cut.append(True)) == NOTHING
        assert cut == [True]

    def write() -> None:
        with path.open("wb") as writer:
            writer.write(b"a\n")

    async with anyio.create_task_group() as around:
        around.start_soon(take_in_file, queue, str(path))
        await anyio.sleep(0.05)
        await anyio.to_thread.run_sync(write)
    assert queue.ids == ["a"]


async def test_a_batch_that_was_added_while_it_was_cancelled_is_counted(
    queue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, durable, counted = queue.add, anyio.Event(), list[int]()

    async def added_but_not_yet_told(*args: Any, **options: Any) -> Added:
        added: Added = await add(*args, **options)
        durable.set()
        await anyio.sleep(0.05)
        return added

    monkeypatch.setattr(queue, "add", added_but_not_yet_told)
    path = tmp_path / "ids"
    path.write_text("a\nb\n")
    async with anyio.create_task_group() as around:
        around.start_soon(partial(take_in_file, queue, str(path), on_batch=lambda one, _: counted.append(one.accepted)))
        await durable.wait()
        around.cancel_scope.cancel()
    assert counted == [2]
