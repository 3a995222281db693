"""Children of a pytest that has collected its tests: one measures them, each of the others tries one mutant.

A child starts from its parent's state at the fork: the tests imported, nothing run, the servers started. It writes to a
pipe which test it begins, so that the parent knows which one hangs; its exit code is its result.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import shutil
import signal
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

from tools.proof.live import Functions, put_in
from tools.proof.mutants import Mutant
from tools.proof.outcome import ELSEWHERE, KILLED, NO_MUTANT, NOT_RUN, SURVIVED, TIMEOUT, Result

_CODES = {0: SURVIVED, 1: KILLED, 3: ELSEWHERE, 4: NO_MUTANT, 5: KILLED}
AT_IMPORT, HANGS = 5, 6
TO_END_S = 3.0
MEMORY_BYTES = 6 << 30
GRACE_S = 20.0


class _Ends:
    """The plugin that hears how tests ended."""

    def __init__(self) -> None:
        self.failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed


@dataclass(slots=True)
class _Child:
    result: Result
    pid: int
    pipe: int
    directory: Path
    limits: list[float]
    at: int = -1
    deadline: float = 0.0


class Forker:
    """Forks children of this session; each has a directory below `directory`."""

    def __init__(self, session: pytest.Session, directory: Path, known: Functions) -> None:
        self._items = {item.nodeid: item for item in session.items}
        self._config = session.config
        self._directory = directory
        self._known = known
        self._forked = 0
        gc.collect()
        gc.freeze()

    @property
    def names(self) -> list[str]:
        """The names of all tests."""
        return list(self._items)

    # --- measuring ----------------------------------------------------------------------------------------------------

    def measure(self, root: Path, paths: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Run tests once in a child; return the lines that each runs, how long it takes, and whether it fails."""
        out = self._directory / "measured.json"
        pid = self._fork()
        if pid == 0:
            code = 1
            try:
                out.write_text(json.dumps(self._measured(root, paths, names)))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        _end_group(pid)
        if status:
            raise SystemExit(f"the tests could not be measured: {status}")
        found: dict[str, dict[str, Any]] = json.loads(out.read_text())
        return found

    def _measured(self, root: Path, paths: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        import coverage

        _be_apart(self._config, self._directory / "measured", 0)
        ends = _Ends()
        self._config.pluginmanager.register(ends)
        files = {str(root / path): path for path in paths}
        measured = coverage.Coverage(data_file=None, config_file=False, include=list(files))
        found: dict[str, Any] = {}
        measured.start()
        for name in names:
            ends.failed = False
            measured.switch_context(name)
            begun = time.monotonic()
            item = self._items[name]
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            found[name] = {"s": round(time.monotonic() - begun, 4), "failed": ends.failed, "lines": {}}
        measured.stop()
        for file, path in files.items():
            for line, contexts in measured.get_data().contexts_by_lineno(file).items():
                for name in filter(found.__contains__, contexts):
                    found[name]["lines"].setdefault(path, []).append(line)
        return found

    # --- mutants ------------------------------------------------------------------------------------------------------

    def run(
        self, work: Iterable[tuple[Mutant, list[str]]], times: dict[str, float], at_once: int, root: Path
    ) -> Iterator[Result]:
        """Try mutants with their tests, `at_once` at a time; yield how each ended, as it ends."""
        waiting = iter(work)
        running: dict[int, _Child] = {}
        more = True
        while running or more:
            while more and len(running) < at_once:
                if (next_one := next(waiting, None)) is None:
                    more = False
                elif next_one[1]:
                    child = self._begin(*next_one, times, root)
                    running[child.pipe] = child
                else:
                    yield Result(next_one[0], NOT_RUN, "", [])
            if not running:
                continue
            wait_s = max(0.0, min(child.deadline for child in running.values()) - time.monotonic())
            ready, _, _ = select.select(list(running), [], [], wait_s)
            for pipe in ready:
                if written := os.read(pipe, 4096):
                    running[pipe].at = struct.unpack("<i", written[-4:])[0]
                    running[pipe].deadline = time.monotonic() + running[pipe].limits[running[pipe].at] + GRACE_S
                else:
                    yield _reaped(running.pop(pipe))
            for pipe, child in list(running.items()):
                if time.monotonic() > child.deadline:
                    yield _reaped(running.pop(pipe), hung=True)

    def _begin(self, one: Mutant, tests: list[str], times: dict[str, float], root: Path) -> _Child:
        limits = [5.0 + 10 * times[test] for test in tests]
        reading, writing = os.pipe()
        directory = self._directory / str(self._forked)
        pid = self._fork()
        if pid:
            os.close(writing)
            deadline = time.monotonic() + GRACE_S
            return _Child(Result(one, "", "", tests), pid, reading, directory, limits, deadline=deadline)
        code = 1
        try:
            os.close(reading)
            code = self._try(root, one, tests, limits, writing, directory)
        finally:
            os._exit(code)

    def _try(self, root: Path, one: Mutant, tests: list[str], limits: list[float], pipe: int, directory: Path) -> int:
        _be_apart(self._config, directory, self._forked)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        try:
            if not put_in(root, self._known, one):
                return 3
        except SyntaxError:
            return 4
        except Exception:  # noqa: BLE001 - an import may raise anything
            return AT_IMPORT
        ends = _Ends()
        self._config.pluginmanager.register(ends)
        signal.signal(signal.SIGALRM, _too_long)
        for number, (test, limit_s) in enumerate(zip(tests, limits, strict=True)):
            os.write(pipe, struct.pack("<i", number))
            item = self._items[test]
            signal.setitimer(signal.ITIMER_REAL, limit_s)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            if ends.failed:
                return 1
        return 0

    def _fork(self) -> int:
        self._forked += 1
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
        return pid


def _be_apart(config: pytest.Config, directory: Path, number: int) -> None:
    """Use nothing that other children use: no file, no database, no output."""
    directory.mkdir()
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = directory
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    reporter._tw._file = open(os.devnull, "w")  # noqa: SIM115 - for as long as the child lives
    silent = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(silent, fd)
    server = sys.modules.get("tests.support.queues.postgres_server")
    if server is not None and server.session_server.cache_info().currsize:
        server.session_server().apart(number)


def _too_long(_: int, __: FrameType | None) -> NoReturn:
    """Fail the test, so that it ends what it has started; when it hangs in that, too, end the child."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(HANGS))
    signal.setitimer(signal.ITIMER_REAL, TO_END_S)
    raise TimeoutError("the test takes ten times as long as it did")


def _reaped(child: _Child, *, hung: bool = False) -> Result:
    if hung:
        _end_group(child.pid)
    _, status = os.waitpid(child.pid, 0)
    _end_group(child.pid)  # what its tests left running
    os.close(child.pipe)
    shutil.rmtree(child.directory, ignore_errors=True)
    one = child.result
    code = os.waitstatus_to_exitcode(status)  # below 0: by a signal
    if hung or code < 0 or code == HANGS:
        return Result(one.mutant, TIMEOUT, one.tests[child.at], one.tests)
    end = _CODES.get(code, KILLED)
    by = one.tests[child.at] if code == 1 else "at import" if code == AT_IMPORT else ""
    return Result(one.mutant, end, by, one.tests)


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
