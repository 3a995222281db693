"""Real forward proxies, each in a process of its own: tinyproxy and squid. Both keep what they were asked for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.programs import need

USER, PASSWORD = "me@work", "p:a/s%s ü"
"""Each needs percent-encoding in a URL."""
QUOTED = "me%40work:p%3Aa%2Fs%25s%20%C3%BC"
PLAIN_USER, PLAIN_PASSWORD = "me-work", "p.a_s.s"
"""The configuration of tinyproxy takes little more than letters."""

_TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 30
LogFile "{log}"
LogLevel Info
MaxClients 50
Allow 127.0.0.1
{rules}
"""
_SQUID = """
{listen}
pid_filename {home}/squid.pid
cache_log {home}/cache.log
access_log stdio:{log}
logformat asked %rm %ru %>Hs
access_log stdio:{log} asked
cache deny all
cache_mem 8 MB
shutdown_lifetime 0 seconds
coredump_dir {home}
visible_hostname proxy.test
dns_timeout 2 seconds
connect_timeout 2 seconds
{user}
{rules}
"""


@dataclass(frozen=True, slots=True)
class RealProxy:
    """A running proxy. `kind`: which; `port` on 127.0.0.1."""

    kind: str
    port: int
    log: Path
    scheme: str = "http"
    userinfo: str = QUOTED
    """The right credentials, as a URL has them."""

    def url(self, userinfo: str = "") -> str:
        return f"{self.scheme}://{userinfo + '@' if userinfo else ''}127.0.0.1:{self.port}"

    def asked(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def tinyproxy(home: Path, *, credentials: bool = False, deny: bool = False) -> Iterator[RealProxy]:
    """`credentials`: it wants those of this module; `deny`: its rules allow no host."""
    program, log, port = need("tinyproxy"), home / "tinyproxy.log", _free_port()
    rules = []
    if credentials:
        rules.append(f"BasicAuth {PLAIN_USER} {PLAIN_PASSWORD}")
    if deny:
        (home / "filter").write_text("nothing.else\n")
        rules += [f'Filter "{home}/filter"', "FilterDefaultDeny Yes"]
    (home / "tinyproxy.conf").write_text(_TINYPROXY.format(port=port, log=log, rules="\n".join(rules)))
    with _running([program, "-d", "-c", str(home / "tinyproxy.conf")], port, home):
        yield RealProxy("tinyproxy", port, log, userinfo=f"{PLAIN_USER}:{PLAIN_PASSWORD}")


@contextmanager
def squid(
    home: Path, *, credentials: bool = False, deny: bool = False, leaf: trustme.LeafCert | None = None
) -> Iterator[RealProxy]:
    """As `tinyproxy`; with `leaf` it speaks TLS to its clients."""
    program, log, port = need("squid"), home / "access.log", _free_port()
    home.chmod(0o777)  # squid drops its rights
    for parent in home.parents:
        if parent.owner() == home.owner() and str(parent).startswith("/tmp/") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    rules = []
    if credentials:
        _htpasswd(home / "users")
        rules += [
            f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {home}/users",
            "auth_param basic children 5 startup=2 idle=1",
            "acl known proxy_auth REQUIRED",
            "http_access deny !known",
        ]
    rules.append("http_access deny all" if deny else "http_access allow all")
    listen = f"http_port 127.0.0.1:{port}"
    if leaf is not None:
        chain, key = home / "proxy.pem", home / "proxy.key"
        chain.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        key.chmod(0o644)
        listen = f"https_port 127.0.0.1:{port} tls-cert={chain} tls-key={key}"
    user = "cache_effective_user nobody" if os.getuid() == 0 else ""
    text = _SQUID.format(listen=listen, home=home, log=log, user=user, rules="\n".join(rules))
    (home / "squid.conf").write_text(text)
    with _running([program, "-N", "-f", str(home / "squid.conf")], port, home):
        yield RealProxy("squid", port, log, "https" if leaf is not None else "http")


def _htpasswd(path: Path) -> None:
    openssl = need("openssl")
    hashed = subprocess.run(
        [openssl, "passwd", "-apr1", "-stdin"], input=PASSWORD, check=True, capture_output=True, text=True
    ).stdout.strip()
    path.write_text(f"{USER}:{hashed}\n")
    path.chmod(0o644)


@contextmanager
def _running(command: list[str], port: int, home: Path) -> Iterator[None]:
    output = home / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=home)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < until, output.read_text()
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home / "spool", ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
