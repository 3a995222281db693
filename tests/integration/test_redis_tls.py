"""The Redis queue over TLS: the server must prove who it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from reaper.core.errors import ConfigError, QueueUnavailableError
from tests.support.queues.redis_server import RedisServer, free_port, ids, opened

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Guarded:
    """A server that speaks TLS at `port`, and its authority's certificate."""

    port: int
    ca_file: str

    def url(self, host: str = "127.0.0.1", ca_file: str | None = None) -> str:
        return f"rediss://{host}:{self.port}/0?ca_file={ca_file or self.ca_file}"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    authority, port = trustme.CA(), free_port()
    leaf = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    files = (f"--tls-{name}-file" for name in ("cert", "key", "ca-cert"))
    names = (str(tmp_path / name) for name in ("cert.pem", "key.pem", "ca.pem"))
    words = [word for pair in zip(files, names, strict=True) for word in pair]
    server = RedisServer(tmp_path, "--tls-port", str(port), *words, "--tls-auth-clients", "no")
    server.start_or_skip("tls", "this server was built without TLS")
    yield Guarded(port, str(tmp_path / "ca.pem"))
    server.kill()


async def test_a_queue_behind_tls_works(guarded: Guarded) -> None:
    queue = await opened(guarded.url())
    assert (await queue.add(ids("a"))).accepted == 1
    await queue.close()


async def test_a_certificate_of_another_authority_or_name_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for url in (guarded.url(ca_file=str(other)), guarded.url(host="localhost")):
        with pytest.raises(QueueUnavailableError, match="its certificate is not trusted"):
            await opened(url)


async def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigError, match="ca_file"):
            await opened(f"rediss://127.0.0.1:1/0?ca_file={tmp_path / name}")
