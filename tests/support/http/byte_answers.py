"""Answers as bytes, and what a client must make of each."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.http.byte_server import GONE, Drip, End, Script, Wait

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED_HELLO = CHUNKED + b"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"


class Expected(NamedTuple):
    """The expected end of a script: status (0: broken), body, and whether the connection serves the next request."""

    script: Script
    status: int
    body: bytes = b""
    kept: bool = True


ANSWERS = {
    "204": Expected([GONE], 204),
    "204 and close": Expected([b"HTTP/1.1 204 Gone\r\nConnection: close\r\n\r\n", End.CLOSE], 204, kept=False),
    "204 and close, but it does not": Expected([b"HTTP/1.1 204 G\r\nConnection: close\r\n\r\n"], 204, kept=False),
    "204 of HTTP/1.0": Expected([b"HTTP/1.0 204 Gone\r\n\r\n"], 204, kept=False),
    "204 of HTTP/1.0, kept": Expected([b"HTTP/1.0 204 Gone\r\nConnection: keep-alive\r\n\r\n"], 204),
    "204 with a body": Expected([b"HTTP/1.1 204 Gone\r\nContent-Length: 5\r\n\r\nhello"], 204, kept=False),
    "204 with chunks": Expected(
        [b"HTTP/1.1 204 Gone\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"], 204, kept=False
    ),
    "304 with a length": Expected([b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n"], 304),
    "length": Expected([HELLO], 200, b"hello"),
    "length, dripping": Expected([Drip(HELLO)], 200, b"hello"),
    "chunks": Expected([CHUNKED_HELLO], 200, b"hello"),
    "chunks, dripping": Expected([Drip(CHUNKED_HELLO)], 200, b"hello"),
    "until the close": Expected([OK + b"\r\nhel", Wait(0.02), b"lo", End.CLOSE], 200, b"hello", kept=False),
    "HTTP/1.0 until the close": Expected([b"HTTP/1.0 200 OK\r\n\r\nhello", End.CLOSE], 200, b"hello", kept=False),
    "interim answers": Expected(
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\n", Wait(0.02), HELLO], 200, b"hello"
    ),
    "too many interim answers": Expected([b"HTTP/1.1 103 Hints\r\n\r\n" * 17 + GONE], 0, kept=False),
    "an interim answer with a length": Expected(
        [b"HTTP/1.1 103 Hints\r\nContent-Length: 1\r\n\r\n" + GONE], 0, kept=False
    ),
    "upgrade on offer": Expected(
        [b"HTTP/1.1 426 No\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nno"], 426, b"no"
    ),
    "101": Expected([b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", End.CLOSE], 0, kept=False),
    "101 without a word": Expected([b"HTTP/1.1 101 S\r\n\r\n", End.CLOSE], 0, kept=False),
    "closed before the answer": Expected([End.CLOSE], 0, kept=False),
    "reset before the answer": Expected([End.RESET], 0, kept=False),
    "closed in the head": Expected([OK + b"Content-", End.CLOSE], 0, kept=False),
    "closed after an interim answer": Expected([b"HTTP/1.1 100 C\r\n\r\n", End.CLOSE], 0, kept=False),
    "closed in the body": Expected([HELLO[:-1], End.CLOSE], 0, kept=False),
    "reset in the body": Expected([HELLO[:-1], Wait(0.05), End.RESET], 0, kept=False),
    "closed in a chunk": Expected([CHUNKED + b"5\r\nhell", End.CLOSE], 0, kept=False),
    "closed between chunks": Expected([CHUNKED + b"5\r\nhello\r\n", End.CLOSE], 0, kept=False),
    "a large head": Expected([OK + b"Content-Length: 0\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"], 200),
    "a head too large": Expected([OK + b"X: " + b"x" * 300_000 + b"\r\n\r\n"], 0, kept=False),
    "many header lines": Expected([OK + b"Content-Length: 0\r\n" + b"a: b\r\n" * 200 + b"\r\n"], 200),
    "too many header lines": Expected([OK + b"Content-Length: 0\r\n" + b"a: b\r\n" * 300 + b"\r\n"], 0, kept=False),
    "garbage": Expected([b"\x15\x03\x03\x00\x02\x02\x46"], 0, kept=False),
    "another protocol": Expected([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], 0, kept=False),
    "a chunk of no size": Expected([CHUNKED + b"zz\r\nx\r\n0\r\n\r\n"], 0, kept=False),
    "two lengths": Expected([OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"], 0, kept=False),
    "the same length twice": Expected([OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"], 200, b"x"),
    "length and chunks": Expected([OK + b"Content-Length: 9\r\n" + CHUNKED_HELLO[len(OK) :]], 0, kept=False),
    "bare line feeds": Expected([b"HTTP/1.1 204 Gone\n\n"], 0, kept=False),
    "a folded header": Expected([b"HTTP/1.1 204 Gone\r\nX: y\r\n z\r\n\r\n"], 204),
    "a second answer with it": Expected([HELLO + b"HTTP/1.1 204 Not yours\r\n\r\n"], 200, b"hello", kept=False),
    "garbage with it": Expected([HELLO + b"\0\0\0"], 200, b"hello", kept=False),
}
