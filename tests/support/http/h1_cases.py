"""HTTP/1.1 answers as bytes: sound ones with what they mean, malformed ones, and such that break off."""

from __future__ import annotations

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM

OK = b"HTTP/1.1 200 OK\r\n"
GONE = b"HTTP/1.1 204 No Content\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


# What came: status, body, whether the connection is kept.
VALID: dict[str, tuple[bytes, int, bytes, bool]] = {
    "204": (GONE + head(b"Date: now"), 204, b"", True),
    "204 and close": (GONE + head(b"Connection: close"), 204, b"", False),
    "204, and close among others": (GONE + head(b"Connection: x, Close"), 204, b"", False),
    "204 of HTTP/1.0": (b"HTTP/1.0 204 No Content\r\n\r\n", 204, b"", False),
    "204 of HTTP/1.0, kept": (b"HTTP/1.0 204 No Content\r\n" + head(b"Connection: keep-alive"), 204, b"", True),
    "204 with a length and no body": (GONE + head(b"Content-Length: 5"), 204, b"", True),
    "204 with a body": (GONE + head(b"Content-Length: 5") + b"hello", 204, b"", False),
    "204 with chunks": (GONE + head(b"Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n", 204, b"", False),
    "204 with a coding": (GONE + head(b"Transfer-Encoding: gzip"), 204, b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\n" + head(b"Content-Length: 5"), 304, b"", True),
    "no reason": (b"HTTP/1.1 204 \r\n\r\n", 204, b"", True),
    "no reason, no blank": (b"HTTP/1.1 204\r\n\r\n", 204, b"", True),
    "empty lines before": (b"\r\n\r\n" + GONE + head(), 204, b"", True),
    "length": (OK + head(length(b"hello")) + b"hello", 200, b"hello", True),
    "length of nothing": (OK + head(length(b"")), 200, b"", True),
    "length and close": (OK + head(length(b"hello"), b"Connection: close") + b"hello", 200, b"hello", False),
    "length, HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + head(length(b"hello")) + b"hello", 200, b"hello", False),
    "until the close": (OK + head(b"Server: x") + b"hello", 200, b"hello", False),
    "until the close, nothing": (OK + head(b"Server: x"), 200, b"", False),
    "chunks": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello", True),
    "chunks, extensions": (CHUNKED + b'3;a=b;c="d e"\r\nhel\r\n02;x\r\nlo\r\n0;end\r\n\r\n', 200, b"hello", True),
    "chunks, trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nStatus: 500\r\nX: y\r\n\r\n", 200, b"hello", True),
    "no chunk": (CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "chunks and close": (
        OK + head(b"Transfer-Encoding: Chunked", b"Connection: close") + b"1\r\nx\r\n0\r\n\r\n", 200, b"x", False,
    ),
    "upgrade on offer": (
        b"HTTP/1.1 426 Upgrade\r\n" + head(b"Connection: upgrade", b"Upgrade: h2c", length(b"no")) + b"no",
        426, b"no", True,
    ),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n" + GONE + head(), 204, b"", True),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nX: b\r\n\r\n" + GONE + head(), 204, b"", True),
    "most interim answers": (b"HTTP/1.1 102 Wait\r\n\r\n" * MAX_INTERIM + GONE + head(), 204, b"", True),
    "most header lines": (GONE + b"a: b\r\n" * MAX_HEADERS + b"\r\n", 204, b"", True),
    "largest head": (GONE + b"a: " + b"x" * (MAX_HEAD_BYTES - len(GONE) - 7) + b"\r\n\r\n", 204, b"", True),
    "large body": (OK + head(length(b"x" * 1024)) + b"x" * 1024, 200, b"x" * 1024, True),
    "another answer after it": (OK + head(length(b"x")) + b"x" + OK + head(length(b"y")) + b"y", 200, b"x", False),
    "garbage after it": (GONE + head() + b"\0\1", 204, b"", False),
    "the start of an answer after it": (GONE + head() + b"H", 204, b"", False),
    "an interim answer after it": (GONE + head() + b"HTTP/1.1 100 Continue\r\n\r\n", 204, b"", False),
    "bytes after a close": (GONE + head(b"Connection: close") + b"x", 204, b"", False),
}  # fmt: skip

MALFORMED: dict[str, bytes] = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "RTSP": b"RTSP/1.0 204 No Content\r\n\r\n",
    "ICE, after an empty line": b"\r\nICE/1.0 204 No Content\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 204 No Content\r\n\r\n",
    "HTTP/2.0 in letters": b"HTTP/2.0 204 No Content\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 204 No Content\r\n\r\n",
    "two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status 000": b"HTTP/1.1 000 OK\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 204 No Content\n\n",
    "a folded header": GONE + head(b"a: b", b" c"),
    "a blank before the colon": GONE + head(b"a : b"),
    "no colon": GONE + head(b"ab"),
    "a zero byte": GONE + head(b"a: \0"),
    "a bare return": GONE + head(b"a: b\rc"),
    "two lengths": OK + head(b"Content-Length: 1", b"Content-Length: 2") + b"xx",
    "the same length twice": OK + head(b"Content-Length: 1", b"Content-Length: 1") + b"x",
    "a list of lengths": OK + head(b"Content-Length: 1, 1") + b"x",
    "a negative length": OK + head(b"Content-Length: -1"),
    "a length that is no number": OK + head(b"Content-Length: 0x1") + b"x",
    "an empty length": OK + head(b"Content-Length:"),
    "a length beyond 64 bits": OK + head(b"Content-Length: 18446744073709551616"),
    "length and chunks": OK + head(b"Content-Length: 1", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunks and length": OK + head(b"Transfer-Encoding: chunked", b"Content-Length: 1") + b"0\r\n\r\n",
    "a coding that was not asked for": OK + head(b"Transfer-Encoding: gzip") + b"x",
    "gzip in chunks": OK + head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "chunks of chunks": OK + head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "a chunk of no size": CHUNKED + b"\r\nx\r\n0\r\n\r\n",
    "a chunk of a negative size": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "a chunk larger than it says": CHUNKED + b"1\r\nxy\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"11111111111111111\r\nx",
    "101": b"HTTP/1.1 101 Switching Protocols\r\n" + head(b"Connection: upgrade", b"Upgrade: websocket"),
    "101 without a word": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + GONE + head(),
    "an interim answer with a body": b"HTTP/1.1 103 Hints\r\n" + head(length(b"x")) + b"x" + GONE + head(),
    "too many interim answers": b"HTTP/1.1 102 Wait\r\n\r\n" * (MAX_INTERIM + 1) + GONE + head(),
    "too many header lines": GONE + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "too many header lines, interim ones": (
        b"HTTP/1.1 103 Hints\r\n" + b"a: b\r\n" * MAX_HEADERS + b"\r\n" + GONE + head(b"a: b")
    ),
    "too many trailers": CHUNKED + b"0\r\n" + b"a: b\r\n" * MAX_HEADERS + b"\r\n",
    "a head too large by one": GONE + b"a: " + b"x" * (MAX_HEAD_BYTES - len(GONE) - 6) + b"\r\n\r\n",
    "a reason too large": b"HTTP/1.1 204 " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "heads too large together": (b"HTTP/1.1 103 Hints\r\na: " + b"x" * 16_384 + b"\r\n\r\n") * 4 + GONE + head(),
    "a trailer without an end": CHUNKED + b"1\r\nx\r\n0\r\na: " + b"x" * 300_000,
    "a chunk extension without an end": CHUNKED + b"1;" + b"x" * 300_000,
}  # fmt: skip

RESET: dict[str, bytes] = {
    "before anything": b"",
    "in the status": b"HTTP/1.1 20",
    "in the head": OK + b"Content-Len",
    "at the end of the head": OK + b"Server: x\r\n",
    "in the body": OK + head(length(b"hello")) + b"hell",
    "before the body": OK + head(length(b"hello")),
    "in a chunk": CHUNKED + b"5\r\nhell",
    "between chunks": CHUNKED + b"5\r\nhello\r\n",
    "before the end of the trailers": CHUNKED + b"0\r\nA: b\r\n",
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
}
