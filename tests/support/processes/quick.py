"""`reaper` for a shell that runs many of them: a program on its PATH that starts at once.

The program hands its arguments, directory, environment and streams to this process, which runs the command as a fork.
`run`, `sandbox` and what watches, which end by signals, are started as they are installed.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import fork_server

INSTALLED = Path(sys.executable).parent / "reaper"
PROGRAM = """\
#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] in (["run"], ["sandbox"]) or "--watch" in sys.argv:
    os.execv({installed!r}, ["reaper", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"x"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode() + b"\\n")
    sys.exit(int(server.makefile().read()))
"""


@contextmanager
def quick_reaper(folder: Path) -> Iterator[Path]:
    """Serve until the end of the block; the directory that it gives has the program `reaper`."""
    address, programs = folder / "reaper.socket", folder / "bin"
    programs.mkdir()
    program = programs / "reaper"
    program.write_text(PROGRAM.format(python=sys.executable, installed=str(INSTALLED), address=str(address)))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        thread = threading.Thread(target=serve, args=[listener], daemon=True)
        thread.start()
        yield programs
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def serve(listener: socket.socket) -> None:
    """Run the command of one caller after the other, until the listener is shut down."""
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        with caller:
            _, streams, _, _ = socket.recv_fds(caller, 1, 3)
            args, environ, directory = json.loads(caller.makefile("rb").readline())
            with fork_server.start(args, environ, directory, streams) as done:
                done.recv(16)
                caller.sendall(str(int(done.recv(16))).encode())
