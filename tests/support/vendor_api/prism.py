"""Prism, a mock server that others make, serves the vendor's contract, and a forwarder before it chooses the answers.

Prism takes the status that it answers with from the request header `Prefer: code=…`, which no caller of the real API
sends: the forwarder adds it. All else passes unchanged, and Prism validates it: a request that the contract does not
describe is in `violations`.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.npm import npm_program
from tests.support.processes.daemon import free_port

CONTRACT = Path(__file__).with_name("openapi.yaml")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request that reached Prism, with its headers by name in lower case, and the status of the answer."""

    method: str
    path: str
    headers: dict[str, str]
    status: int


@dataclass(slots=True)
class Forwarder:
    """Sends each request on to Prism. `answers` has statuses by method and session ID, in order; the last one stays."""

    prism_port: int
    answers: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, session_id: str, *statuses: int) -> None:
        """Let Prism answer the requests for a session (`""`: for the list) with these statuses of the contract."""
        self.answers[method, session_id] = list(statuses)

    def sent(self, method: str) -> list[int]:
        """Return the statuses of the answers to the requests with this method."""
        return [request.status for request in self.requests if request.method == method]

    def _next(self, method: str, path: str) -> int | None:
        session_id = urllib.parse.unquote(path.removeprefix("/api/sessions").removeprefix("/"))
        with self._lock:
            statuses = self.answers.get((method, session_id))
            if not statuses:
                return None
            return statuses.pop(0) if len(statuses) > 1 else statuses[0]

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Return Prism's answer, and keep what Prism found wrong with the request."""
        status = self._next(method, path)
        asked = {name: text for name, text in headers.items() if name.lower() not in HOP_BY_HOP}
        if status is not None:
            asked["Prefer"] = f"code={status}"
        prism = http.client.HTTPConnection("127.0.0.1", self.prism_port, timeout=20)
        try:
            prism.request(method, path, body=body or None, headers=asked)
            reply = prism.getresponse()
            content = reply.read()
        finally:
            prism.close()
        found = reply.headers.get("sl-violations")
        problem = reply.headers.get_content_type() == "application/problem+json"
        with self._lock:
            self.requests.append(Request(method, path, {name.lower(): headers[name] for name in headers}, reply.status))
            if found or problem or (status is not None and reply.status != status):
                self.violations.append(f"{method} {path}: {reply.status} {found or content.decode()}")
        kept = {name: text for name, text in reply.headers.items() if name.lower() not in HOP_BY_HOP}
        return reply.status, kept, content


@contextmanager
def running_prism(folder: Path) -> Iterator[int]:
    """Run Prism on the contract until the block ends, and yield its port. Its log is in `folder`."""
    port = free_port()
    command = [*npm_program("prism"), "mock", "--errors", "--host", "127.0.0.1", "--port", str(port), str(CONTRACT)]
    with (folder / "prism.log").open("wb") as log:
        prism = subprocess.Popen(command, cwd=folder, env={**os.environ, "NO_COLOR": "1"}, stdout=log, stderr=log)
        try:
            eventually(lambda: prism.poll() is not None or _listens(port), what="Prism listens")
            assert prism.poll() is None, (folder / "prism.log").read_text(encoding="utf-8")
            yield port
        finally:
            prism.terminate()
            prism.wait(10)


@contextmanager
def forwarding(prism_port: int) -> Iterator[Forwarder]:
    """Run a forwarder in threads until the block ends."""
    forwarder = Forwarder(prism_port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, headers, content = forwarder.forward(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    forwarder.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield forwarder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _listens(port: int) -> bool:
    prism = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        prism.request("GET", "/")
        return prism.getresponse().status == 404
    except OSError:
        return False
    finally:
        prism.close()
