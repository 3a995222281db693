"""What a TLS connection costs each client, in CPU: the same sessions with a connection for each, and with few in all.

    .venv/bin/python -m bench.handshake [--sessions 2000] [--runs 5]

nginx closes each connection after one answer, or keeps all; the difference by session is the price of connecting:
handshake, verification, closing. Clients take turns; the least of the runs is told. `python ssl` is OpenSSL under
blocking sockets of the standard library, without a client around it: whole handshakes, and ones that resume a session.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import ssl
import tempfile
from pathlib import Path

from bench.clients.kinds import CLIENTS, Job
from bench.clients.process import ran
from bench.served import HOST, Served, certified, served

CONCURRENCY = 32
NAMES = ("reaper", "curl", "go", "aiohttp")
REQUEST = b"DELETE /api/sessions/ses-01HZX HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def client_cpu_us(name: str, server: Served, home: Path, sessions: int) -> float:
    """Return the CPU of a client by session."""
    (client,) = (one for one in CLIENTS if one.name == name)
    ids = home / "ids"
    ids.write_text("".join(f"ses-01HZX{number:016d}\n" for number in range(sessions)))
    with tempfile.TemporaryDirectory(dir=home) as folder:
        command = client.command(Job(server.url, HOST, server.port, server.authority, CONCURRENCY, ids, Path(folder)))
        env = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder, **command.env}
        done = ran(command.words, env, Path(folder), 120.0, command.stdin)
        assert done.code == 0, done.err
        return done.cpu_s / sessions * 1e6


def bare_cpu_us(server: Served, count: int, *, resumes: bool) -> float:
    """Return the CPU of one connection made by the standard library, with one request."""
    context = ssl.create_default_context(cafile=server.authority)
    session: ssl.SSLSession | None = None
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(count):
        plain = socket.create_connection((HOST, server.port))
        with context.wrap_socket(plain, server_hostname=HOST, session=session) as secure:
            secure.sendall(REQUEST)
            secure.recv(4096)
            if resumes:
                session = secure.session
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    first, second = (*sorted(os.sched_getaffinity(0)), 0)[:2]
    os.sched_setaffinity(0, {second})
    clients = [name for name in NAMES if not next(one for one in CLIENTS if one.name == name).missing()]
    cost: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="reaper-handshake-") as folder:
        home = Path(folder)
        certificate = certified(home)
        for _ in range(asked.runs):
            with_few: dict[str, float] = {}
            with served(home, 0, certificate, first, "nginx") as server:
                with_few = {name: client_cpu_us(name, server, home, asked.sessions) for name in clients}
            with served(home, 0, certificate, first, "nginx", kept=1) as server:
                for name in clients:
                    each = client_cpu_us(name, server, home, asked.sessions)
                    cost.setdefault(name, []).append(each - with_few[name])
                for name, resumes in (("python ssl", False), ("python ssl, resumed", True)):
                    cost.setdefault(name, []).append(bare_cpu_us(server, asked.sessions // 4, resumes=resumes))
    print(f"{'client':<22} least CPU µs a connection   all runs")
    for name, runs in cost.items():
        print(f"{name:<22} {min(runs):>25,.0f}   {' '.join(f'{run:,.0f}' for run in runs)}")


if __name__ == "__main__":
    main()
