"""The servers of others, started for a test: nginx and Node's own HTTP/2."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.http.h2_caller import certified
from tests.support.http.h2_hyper import LARGE, MAX_STREAMS, HyperServer
from tests.support.programs import need


@dataclass(frozen=True)
class Peer:
    """Where it listens."""

    port: int
    hyper: HyperServer | None = None


_NGINX = """
daemon off; worker_processes 1; pid {home}/pid; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_requests {keep};
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams {most};
    ssl_certificate {chain}; ssl_certificate_key {key};
    location /api/ {{ add_header X-Request-Id r1; return 204; }}
    location /api/sessions/missing {{ default_type application/json; return 404 '{{"error":"no such session"}}'; }}
    location /large {{ alias {home}/large; }}
  }}
}}
"""

_NODE = """
const http2 = require("http2"), fs = require("fs");
const [chain, key, large, most] = process.argv.slice(2);
const server = http2.createSecureServer({
  cert: fs.readFileSync(chain), key: fs.readFileSync(key), settings: { maxConcurrentStreams: Number(most) },
  paddingStrategy: http2.constants.PADDING_STRATEGY_MAX, maxSessionMemory: 200,
});
const body = fs.readFileSync(large);
server.on("stream", (stream, headers) => {
  const path = headers[":path"];
  stream.on("error", () => {});
  if (path === "/silent") return;
  if (path === "/refused") return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  if (path === "/large") { stream.respond({ ":status": 200, "content-length": body.length }); return stream.end(body); }
  if (path === "/echo") {
    stream.additionalHeaders({ ":status": 103, link: "</x>" });
    stream.respond({ ":status": 200, "content-type": "application/json" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }));
    return stream.end(JSON.stringify(headers));
  }
  if (path.endsWith("/missing")) {
    stream.respond({ ":status": 404, "content-type": "application/json" });
    return stream.end('{"error":"no such session"}');
  }
  stream.respond({ ":status": 204, "x-request-id": "r" + stream.id }, { endStream: true });
});
server.on("sessionError", (error) => console.log("fault " + error.message));
server.listen(0, "127.0.0.1", () => console.log("port " + server.address().port));
"""


@asynccontextmanager
async def nginx(home: Path, keep: int = 100_000) -> AsyncIterator[Peer]:
    program = need("nginx")
    chain, key = certified().files(home)
    (home / "large").write_bytes(LARGE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = _NGINX.format(
        home=home, port=port, chain=chain, key=key, keep=keep, most=MAX_STREAMS,
        user="user root;" if os.getuid() == 0 else "",
    )  # fmt: skip
    (home / "nginx.conf").write_text(text)
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except ConnectionError:
                    assert process.returncode is None, (home / "error.log").read_text()
                    await asyncio.sleep(0.02)
        writer.close()
        yield Peer(port)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def node(home: Path) -> AsyncIterator[Peer]:
    program = need("node")
    chain, key = certified().files(home)
    (home / "large").write_bytes(LARGE)
    (home / "server.js").write_text(_NODE)
    process = await asyncio.create_subprocess_exec(
        program, str(home / "server.js"), str(chain), str(key), str(home / "large"), str(MAX_STREAMS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        yield Peer(int(line.removeprefix(b"port ")))
    finally:
        process.terminate()
        said = await process.stdout.read()
        await process.wait()
        assert b"fault" not in said


@asynccontextmanager
async def hyper(home: Path) -> AsyncIterator[Peer]:
    async with HyperServer(certified().server) as server:
        yield Peer(server.port, server)
        assert server.faults == []


PEERS = {"nginx": nginx, "node": node, "hyper": hyper}
