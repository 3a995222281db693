"""A server in a thread that speaks when the test says so, whether it was asked or not."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ASK = object()
"""A step: read the head of a request."""

Step = bytes | object | Callable[[], object]


@dataclass
class Talker:
    """Each connection, in the order of their arrival, plays its script; the last one is for all that follow."""

    scripts: Sequence[Sequence[Step]]
    tls: ssl.SSLContext | None = None
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    ends: bool = False
    """Each connection ends with its script, by TLS's own farewell, if it speaks TLS, and the close behind it."""
    said: queue.SimpleQueue[bytes] = field(default_factory=queue.SimpleQueue)
    """Each text that was sent, after it was."""

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Talker]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            thread = threading.Thread(target=self._accept, args=(listening,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                thread.join(10)

    def _accept(self, listening: socket.socket) -> None:
        threads = []
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                break
            plain.settimeout(10)
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            threads.append(threading.Thread(target=self._talk, args=(plain, script), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(10)

    def _talk(self, sock: socket.socket, script: Sequence[Step]) -> None:
        try:
            if self.tls is not None:
                sock = _handshake(sock, self.tls)
            for step in script:
                if step is ASK:
                    self._read_head(sock)
                elif isinstance(step, bytes):
                    sock.sendall(step)
                    self.said.put(step)
                else:
                    assert callable(step)
                    step()
            if self.ends and isinstance(sock, ssl.SSLSocket):
                sock.settimeout(0.0)
                with suppress(ssl.SSLError):
                    sock.unwrap()
            while not self.ends and sock.recv(4096):
                pass
        except OSError:
            pass
        finally:
            sock.close()

    def _read_head(self, sock: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = sock.recv(1)
            if not part:
                raise ConnectionError
            head += part
        self.heads.append(head)


def _handshake(plain: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Speak TLS. A handshake that fails is ended with its alert: closed on unread bytes, the kernel would reset it."""
    below = plain.dup()
    try:
        return tls.wrap_socket(plain, server_side=True)
    except ssl.SSLError:
        below.settimeout(10)
        below.shutdown(socket.SHUT_WR)
        while below.recv(4096):
            pass
        raise
    finally:
        below.close()
