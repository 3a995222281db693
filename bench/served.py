"""Starts the server of a comparison in a process of its own, and reads what it saw."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.eventually import eventually

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"

_NGINX = """
daemon off; master_process off; pid {home}/pid; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  log_format seen '$msec $request_time $request_method $status'; access_log {home}/seen seen buffer=1m;
  keepalive_requests {kept}; keepalive_timeout 600;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen {host}:{port} {listen} backlog=4096;
    {certificate}
    location = /api/sessions {{ default_type application/json; return 200 '{{"sessions":[]}}'; }}
    location /api/sessions/ {{ return 204; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server saw of one run; None where this server can't tell."""

    answered: int
    span_s: float
    """From the first DELETE to the last answer."""
    held_s: float
    peak_in_flight: int | None = None
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A running server. `begin` starts its counts anew; `seen(expected)` reads them when a run is over."""

    name: str
    pid: int
    port: int
    url: str
    authority: Path | None
    begin: Callable[[], None]
    seen: Callable[[int], Seen]


@dataclass(frozen=True, slots=True)
class Certificate:
    authority: Path
    chain: Path
    key: Path


def certified(home: Path) -> Certificate:
    """Make an authority and a certificate for this machine's own address."""
    authority = trustme.CA()
    leaf = authority.issue_cert(HOST)
    made = Certificate(home / "authority.pem", home / "chain.pem", home / "key.pem")
    authority.cert_pem.write_to_path(str(made.authority))
    leaf.cert_chain_pems[0].write_to_path(str(made.chain))
    leaf.private_key_pem.write_to_path(str(made.key))
    return made


@contextmanager
def served(
    home: Path,
    latency_ms: float,
    certificate: Certificate | None,
    core: int | None,
    choice: str = "auto",
    kept: int = 1_000_000_000,
) -> Iterator[Served]:
    """Run a server until the block ends. `auto`: nginx for TLS without latency where it is installed, else our own.

    nginx closes a connection after `kept` answers.
    """
    wanted = choice == "nginx" or (choice == "auto" and certificate is not None)
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if wanted and program and not latency_ms:
        words = _nginx(home, program, certificate, kept)
        kind = f"nginx {_version(program)}"
    else:
        words = [sys.executable, "-m", "bench.server", "--latency-ms", str(latency_ms)]
        words += ["--tls", str(certificate.chain), str(certificate.key)] if certificate else []
        kind = "bench/server.py"
    ours = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})  # what is started inherits it
    try:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    finally:
        os.sched_setaffinity(0, ours)
    authority = certificate.authority if certificate else None
    try:
        if kind == "bench/server.py":
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            begin, seen = _control(port, authority)
        else:
            port = int(re.findall(r"listen \S+:(\d+)", (home / "nginx.conf").read_text())[0])
            _wait_for(port, process)
            begin, seen = _log(home / "seen", process)
        url = f"{'https' if authority else 'http'}://{HOST}:{port}"
        yield Served(kind, process.pid, port, url, authority, begin, seen)
    finally:
        process.terminate()
        process.wait()


def _control(port: int, authority: Path | None) -> tuple[Callable[[], None], Callable[[int], Seen]]:
    context = ssl.create_default_context(cafile=authority) if authority else None
    base = f"{'https' if authority else 'http'}://{HOST}:{port}/bench/"

    def ask(what: str) -> dict[str, float]:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
        )
        with opener.open(base + what, timeout=30) as answer:
            found: dict[str, float] = json.load(answer)
            return found

    def begin() -> None:
        # Of a client that was cut off.
        eventually(lambda: not ask("counts")["in_flight"], 10, what="nothing is in flight", every_s=0.05)
        ask("reset")

    def seen(_: int) -> Seen:
        found = ask("counts")
        assert not found["faults"], f"the server met what it doesn't know: {found}"
        # The reading of the counts is a connection too, and so is the reset.
        return Seen(
            int(found["answered"]),
            found["span_s"],
            found["held_s"],
            int(found["peak_in_flight"]),
            int(found["connections"]) - 2,
        )

    return begin, seen


def _log(path: Path, process: subprocess.Popen[str]) -> tuple[Callable[[], None], Callable[[int], Seen]]:
    """nginx keeps no counts: its log, written in large blocks, has the time and duration of each request."""

    def begin() -> None:
        path.unlink()
        process.send_signal(signal.SIGUSR1)
        eventually(path.exists, 10, what="nginx has a new log")

    def seen(expected: int) -> Seen:
        process.send_signal(signal.SIGUSR1)  # writes what it has kept back
        deadline = time.monotonic() + 2
        while True:
            count, first, last, held = 0, float("inf"), 0.0, 0.0
            with path.open() as lines:
                for line in lines:
                    at, took, method, status = [*line.split(), "", "", ""][:4]
                    if method == "DELETE" and status == "204":
                        count, held = count + 1, held + float(took)
                        first, last = min(first, float(at) - float(took)), max(last, float(at))
            if count >= expected or time.monotonic() > deadline:
                return Seen(count, max(last - first, 0.0) if count else 0.0, held / (count or 1))
            time.sleep(0.05)

    return begin, seen


def _nginx(home: Path, program: str, certificate: Certificate | None, kept: int) -> list[str]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    pair = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};" if certificate else ""
    listen = "ssl http2" if certificate else ""
    text = _NGINX.format(kept=kept, home=home, host=HOST, port=port, listen=listen, certificate=pair)
    (home / "nginx.conf").write_text(text)
    return [program, "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")]


def _version(program: str) -> str:
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    return told.partition("/")[2].split()[0]


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except ConnectionError:
            assert process.poll() is None and time.monotonic() < deadline, "nginx did not start"  # noqa: PT018
            time.sleep(0.02)
