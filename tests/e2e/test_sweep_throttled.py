"""A 429 to the read of a sweep: nothing at all is sent to the API in the silence that it asks for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.eventually import eventually
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon

SILENCE_S = 3.0


@contextmanager
def api_that_refuses_one_list(nth: int) -> Iterator[tuple[str, list[tuple[float, str]]]]:
    """Serve an API whose nth list is a 429; yield its address and its log: when, and which request."""
    seen: list[tuple[float, str]] = []

    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            lists = sum(what.startswith("GET /api/sessions") for _, what in seen) + 1
            seen.append((time.monotonic(), f"GET {self.path}"))
            if self.path == "/auth/me":
                self._answer(200, {"userId": "usr_1"})
            elif lists == nth:
                self._answer(429, {"error": "slow down"}, SILENCE_S)
            else:
                self._answer(200, {"sessions": []})

        def do_DELETE(self) -> None:
            seen.append((time.monotonic(), f"DELETE {self.path}"))
            self.send_response(204)
            self.end_headers()

        def _answer(self, status: int, body: object, retry_after_s: float | None = None) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            if retry_after_s is not None:
                self.send_header("Retry-After", f"{retry_after_s:.0f}")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def told(command: Command) -> Command:
    command.env |= {"ARCHAL_TOKEN": "a-token-of-this-test"}
    return command


def test_a_run_that_begins_with_a_sweep_keeps_the_silence(told: Command) -> None:
    with api_that_refuses_one_list(1) as (url, seen):
        told.env["REAPER_API__BASE_URL"] = url
        assert told.run("add", "env_1").returncode == 0
        done = told.run("once", "--discover")
    assert done.returncode == 69, done.stderr  # the sweep could not be made
    at = [at for at, _ in seen]
    assert [what for _, what in seen][-1] == "DELETE /api/sessions/env_1"
    assert at[1] - at[0] >= SILENCE_S


def test_a_daemon_keeps_the_silence_that_its_sweep_was_asked_for(told: Command) -> None:
    with api_that_refuses_one_list(3) as (url, seen):
        told.env |= {
            "REAPER_API__BASE_URL": url, "REAPER_DISCOVERY__ENABLED": "true", "REAPER_DISCOVERY__INTERVAL_S": "1",
        }  # fmt: skip
        with daemon(told):
            eventually(lambda: any("throttled" in line for line in _log(told)), 20.0)
            assert told.run("add", "env_1").returncode == 0
            eventually(lambda: any(what.startswith("DELETE") for _, what in seen), 20.0)
    lists = [n for n, (_, what) in enumerate(seen) if what == "GET /api/sessions"]
    refused = lists[2]
    assert seen[refused + 1][0] - seen[refused][0] >= SILENCE_S, "nothing was sent in between"


def _log(command: Command) -> list[str]:
    return (command.home / "daemon.log").read_text().splitlines()
