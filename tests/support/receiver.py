"""A receiver of messages and pings on this machine: it takes them, refuses them, redirects them or hangs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandInReceiver:
    """Listens on a free port in threads. `answer` is the status of every answer; 0: it takes the request and hangs."""

    def __init__(self, answer: int = 200) -> None:
        self.answer = answer
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.arrived = threading.Condition()
        self._free = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with stand_in.arrived:
                    stand_in.paths.append(self.path)
                    stand_in.bodies.append(body)
                    stand_in.arrived.notify_all()
                if not stand_in.answer:
                    stand_in._free.wait(30)
                    return
                self.send_response(stand_in.answer)
                if stand_in.answer // 100 == 3:
                    self.send_header("Location", f"http://127.0.0.1:{stand_in.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The address of this receiver for Apprise; its path is a secret."""
        return f"json://127.0.0.1:{self.port}/hidden-path"

    @property
    def ping_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hidden-uuid"

    @property
    def messages(self) -> list[dict[str, str]]:
        return [json.loads(body) for path, body in zip(self.paths, self.bodies, strict=True) if "path" in path]

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.messages]

    def wait_for(self, count: int, within_s: float = 15.0) -> None:
        """Wait until so many requests arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.paths) >= count, within_s), self.paths

    def __enter__(self) -> StandInReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
