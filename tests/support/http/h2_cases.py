"""Frames of a peer after three requests on the streams 1, 3 and 5, and the end that each request must have.

Played without a socket in `test_h2_cases.py`, over real ones in `tests/integration/test_h2_faults.py`, and mutated by
`tests/support/http/fuzz_h2.py`. At most 1024 bytes of a body are kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from tests.support.http.h2 import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    body,
    frame,
    goaway,
    head,
    literal,
    rst,
    settings,
)

Fate = int | str | None
OPEN: list[Fate] = [None, None, None]
BROKEN: list[Fate] = ["malformed"] * 3
PROTOCOL, FLOW, CLOSED, SIZE, CANCEL, COMPRESSION, CALM = 1, 3, 5, 6, 8, 9, 11
OK = b"\x88"
NOT_FOUND = b"\x8d"
JSON = b'{"error":"no such session"}'


@dataclass(frozen=True)
class Case:
    """What the peer says after its settings, and what comes of it.

    `fates`: of the streams 1, 3 and 5. `code`: with which we close the connection, if we do. `resets`: the streams that
    we reset, each with its code.
    """

    said: bytes
    fates: list[Fate] = field(default_factory=lambda: list(OPEN))
    code: int | None = None
    resets: dict[int, int] = field(default_factory=dict)
    first: bytes = settings()


def broken(said: bytes, code: int) -> Case:
    """The connection is lost, and with it all three."""
    return Case(said, BROKEN, code)


def no_start(first: bytes, code: int) -> Case:
    """The connection is lost before more than one request is written."""
    return Case(b"", ["malformed", "refused", "refused"], code, first=first)


def malformed(said: bytes, code: int = PROTOCOL) -> Case:
    """The answer on 1 will not do, the others are not touched."""
    return Case(said, ["malformed", None, None], resets={1: code})


def fine(said: bytes, status: int = 204) -> Case:
    return Case(said, [status, None, None])


def window(stream: int, more: int) -> bytes:
    return frame(WINDOW, 0, stream, struct.pack(">I", more))


def interim(stream: int, status: bytes = b"103", flags: int = 0x4) -> bytes:
    return head(stream, literal(b":status", status), flags)


def padded(kind: int, flags: int, stream: int, data: bytes, padding: int) -> bytes:
    return frame(kind, flags | 0x8, stream, bytes((padding,)) + data + b"\0" * padding)


def cut_block(stream: int, block: bytes, size: int, flags: int = 0x1) -> bytes:
    """A block in one HEADERS frame and as many CONTINUATION frames as it takes."""
    parts = [block[at : at + size] for at in range(0, len(block), size)]
    made = frame(HEADERS, flags, stream, parts[0])
    for at, part in enumerate(parts[1:], 2):
        made += frame(CONTINUATION, 0x4 if at == len(parts) else 0, stream, part)
    return made


MANY = b"".join(literal(b"x-%d" % at, b"y") for at in range(150))
LENGTHY = NOT_FOUND + literal(b"content-length", b"%d" % len(JSON))
LONG = b"\x00\x01x\x7f\x81\x1f" + b"v" * 4096

ANSWERS: dict[str, Case] = {
    "nothing": Case(b""),
    "204": fine(head(1)),
    "204 for each, out of order": Case(head(5) + head(1) + head(3), [204, 204, 204]),
    "204 after a table update": fine(head(1, b"\x20\x89")),
    "204 with headers": fine(head(1, b"\x89" + literal(b"server", b"x") + literal(b"date", b"now"))),
    "204 with an empty body": fine(head(1, b"\x89", 0x4) + body(1, b"")),
    "304 with a length": fine(head(1, b"\x8b" + literal(b"content-length", b"9")), 304),
    "200 without a body": fine(head(1, OK), 200),
    "404 with JSON": fine(head(1, LENGTHY, 0x4) + body(1, JSON), 404),
    "404 with JSON, no length": fine(head(1, NOT_FOUND, 0x4) + body(1, JSON), 404),
    "two bodies in turn": Case(
        head(1, NOT_FOUND, 0x4) + head(3, LENGTHY, 0x4) + body(1, JSON, 0) + body(3, JSON) + body(1, JSON),
        [404, 404, None],
    ),
    "a body in parts, some empty": fine(head(1, OK, 0x4) + body(1, b"", 0) + body(1, b"ab", 0) + body(1, b""), 200),
    "a padded head": fine(padded(HEADERS, 0x5, 1, b"\x89", 7)),
    "a padded head with priority": fine(padded(HEADERS, 0x25, 1, b"\0\0\0\3\x10\x89", 200)),
    "a padded body": fine(head(1, LENGTHY, 0x4) + padded(DATA, 0x1, 1, JSON, 255), 404),
    "padding of nothing": fine(head(1, OK, 0x4) + padded(DATA, 0x1, 1, b"", 0), 200),
    "a head in parts": fine(cut_block(1, b"\x89" + literal(b"server", b"x"), 1)),
    "an empty part of a head": fine(frame(HEADERS, 0x1, 1, b"\x89") + frame(CONTINUATION, 0x4, 1)),
    "interim answers": fine(interim(1, b"100") + interim(1) * 15 + head(1)),
    "trailers": fine(head(1, OK, 0x4) + body(1, b"x", 0) + head(1, literal(b"grpc-status", b"0")), 200),
    "a body of just what is kept": fine(head(1, OK, 0x4) + body(1, b"x" * 1024), 200),
    "a body too long": Case(head(1, OK, 0x4) + body(1, b"x" * 1025, 0), [200, None, None], resets={1: CANCEL}),
    "a body too long, at its end": fine(head(1, OK, 0x4) + body(1, b"x" * 1025), 200),
    "a body too long, and its rest": Case(
        head(1, OK, 0x4) + body(1, b"x" * 2000, 0) + body(1, b"x" * 2000) + head(3),
        [200, 204, None],
        resets={1: CANCEL},
    ),
    "a table in use, which we had ruled out": Case(
        head(1, b"\x89\x40\x01a\x01b") + head(3, b"\x89\xbe"), [204, 204, None]
    ),
    "a table in use on a cancelled stream": Case(
        head(1, OK, 0x4) + body(1, b"x" * 1025, 0) + head(1, b"\x40\x01a\x01b") + head(3, b"\x89\xbe"),
        [200, 204, None],
        resets={1: CANCEL},
    ),
    "no error, after the answer": Case(head(1) + rst(1, 0) + window(1, 5) + head(3), [204, 204, None]),
}

PEERS: dict[str, Case] = {
    "an unknown frame": Case(frame(0x99, 0xFF, 1, b"?" * 9) + frame(0xA, 0, 0, b"h3"), OPEN),
    "priority": Case(frame(PRIORITY, 0, 7, b"\0\0\0\0\x10"), OPEN),
    "a ping answered by nobody": Case(frame(PING, 0x1, 0, b"12345678"), OPEN),
    "windows": Case(window(0, 2**31 - 1 - 65535) + window(1, 2**31 - 1 - 65535), OPEN),
    "an unknown setting": Case(settings((0x7777, 1)), OPEN),
    "refused": Case(rst(1, 7) + head(3), ["refused", 204, None]),
    "refused after a head": Case(head(1, OK, 0x4) + rst(1, 7), ["reset", None, None]),
    "cancelled by the peer": Case(rst(1, 8), ["reset", None, None]),
    "reset for no reason": Case(rst(1, 0), ["reset", None, None]),
    "reset with an unknown code": Case(rst(1, 0xFFFF), ["reset", None, None]),
    "reset within a body": Case(head(1, OK, 0x4) + body(1, b"x", 0) + rst(1, 2), ["reset", None, None]),
    "reset twice": Case(rst(1, 2) + rst(1, 2) + head(3), ["reset", 204, None]),
    "an answer after a reset": Case(rst(1, 2) + head(1) + head(3), ["reset", 204, None]),
    "goodbye, nothing processed": Case(goaway(0), ["refused"] * 3, 0),
    "goodbye in the middle": Case(goaway(3), [None, None, "refused"]),
    "goodbye in the middle, then answers": Case(goaway(3) + head(3) + head(1), [204, 204, "refused"], 0),
    "goodbye, then closer": Case(goaway(2**31 - 1) + goaway(1, 11, b"calm"), [None, "refused", "refused"]),
    "goodbye after a first byte": Case(head(3, OK, 0x4) + goaway(1), [None, "reset", "refused"]),
    "goodbye, and an answer all the same": Case(goaway(1) + head(5) + head(1), [204, "refused", "refused"], 0),
}

MALFORMED: dict[str, Case] = {
    "no status": malformed(head(1, literal(b"server", b"x"))),
    "an empty head": malformed(head(1, b"")),
    "a status of two digits": malformed(head(1, literal(b":status", b"20"))),
    "a status that is no number": malformed(head(1, literal(b":status", b"2x4"))),
    "a status below 100": malformed(head(1, literal(b":status", b"099"))),
    "two statuses": malformed(head(1, b"\x89\x88")),
    "a status after a header": malformed(head(1, literal(b"a", b"b") + b"\x89")),
    "a header of a request": malformed(head(1, b"\x89" + literal(b":path", b"/"))),
    "an upper-case name": malformed(head(1, b"\x89" + literal(b"Server", b"x"))),
    "a name with a blank": malformed(head(1, b"\x89" + literal(b"a b", b"x"))),
    "a name of nothing": malformed(head(1, b"\x89" + literal(b"", b"x"))),
    "a line end in a value": malformed(head(1, b"\x89" + literal(b"a", b"x\r\nb: y"))),
    "a zero in a value": malformed(head(1, b"\x89" + literal(b"a", b"x\0"))),
    "a transfer coding": malformed(head(1, b"\x89" + literal(b"transfer-encoding", b"chunked"))),
    "connection": malformed(head(1, b"\x89" + literal(b"connection", b"close"))),
    "an upgrade": malformed(interim(1, b"101")),
    "an interim answer at the end": malformed(interim(1, flags=0x5)),
    "too many interim answers": malformed(interim(1) * 17),
    "too many lines": malformed(head(1, b"\x89" + MANY * 2)),
    "too many lines in all": malformed(head(1, OK + MANY, 0x4) + head(1, MANY)),
    "too many bytes": malformed(head(1, literal(b":status", b"103") + LONG * 3, 0x4) * 6),
    "a body before its head": malformed(body(1, b"x", 0)),
    "a body after an interim answer": malformed(interim(1) + body(1, b"x", 0)),
    "a body of 204": malformed(head(1, b"\x89", 0x4) + body(1, b"x")),
    "a body too short": malformed(head(1, LENGTHY, 0x4) + body(1, JSON[1:])),
    "a body longer than announced": malformed(head(1, LENGTHY, 0x4) + body(1, JSON + b"x")),
    "an announced body that never comes": malformed(head(1, LENGTHY)),
    "lengths that differ": malformed(head(1, LENGTHY + literal(b"content-length", b"1"), 0x4)),
    "a length that is no number": malformed(head(1, OK + literal(b"content-length", b"-1"), 0x4)),
    "two heads": malformed(head(1, OK, 0x4) + head(1, OK, 0x4)),
    "trailers with a status": malformed(head(1, OK, 0x4) + head(1, OK)),
    "trailers that do not end": malformed(head(1, OK, 0x4) + head(1, literal(b"a", b"b"), 0x4)),
    "a bad header before one for the table": Case(
        head(1, b"\x89" + literal(b"A", b"x") + b"\x40\x01a\x01b") + head(3, b"\x89\xbe"),
        ["malformed", 204, None],
        resets={1: PROTOCOL},
    ),
    "a window of a stream that grows by nothing": malformed(window(1, 0)),
    "a window of a stream out of bounds": malformed(window(1, 2**31 - 1) + window(1, 1), FLOW),
}

BREAKS: dict[str, Case] = {
    "another protocol": no_start(b"HTTP/1.1 400 Bad Request\r\n\r\n", PROTOCOL),
    "an answer before the settings": no_start(head(1), PROTOCOL),
    "an acknowledgement before the settings": no_start(frame(SETTINGS, 0x1), PROTOCOL),
    "a frame too long": broken(frame(DATA, 0, 1, b"x" * 16385), SIZE),
    "a length that never comes": broken(b"\xff\xff\xff" + frame(DATA, 0, 1)[3:], SIZE),
    "settings of a wrong length": broken(frame(SETTINGS, 0, 0, b"12345"), SIZE),
    "settings on a stream": broken(frame(SETTINGS, 0, 1), PROTOCOL),
    "an acknowledgement with settings": broken(frame(SETTINGS, 0x1, 0, b"123456"), SIZE),
    "push enabled": broken(settings((2, 1)), PROTOCOL),
    "an initial window out of bounds": broken(settings((4, 2**31)), FLOW),
    "a frame size too small": broken(settings((5, 16383)), PROTOCOL),
    "a frame size too large": broken(settings((5, 2**24)), PROTOCOL),
    "a push": broken(frame(PUSH, 0x4, 1, b"\0\0\0\2\x88"), PROTOCOL),
    "a ping of a wrong length": broken(frame(PING, 0, 0, b"1234567"), SIZE),
    "a ping on a stream": broken(frame(PING, 0, 1, b"12345678"), PROTOCOL),
    "a goodbye too short": broken(frame(GOAWAY, 0, 0, b"1234567"), SIZE),
    "a goodbye on a stream": broken(frame(GOAWAY, 0, 1, b"12345678"), PROTOCOL),
    "a window that grows by nothing": broken(window(0, 0), PROTOCOL),
    "a window out of bounds": broken(window(0, 2**31 - 1 - 65534), FLOW),
    "a window of a wrong length": broken(frame(WINDOW, 0, 0, b"123"), SIZE),
    "a window of a stream that nobody opened": broken(window(7, 1), PROTOCOL),
    "a reset of a wrong length": broken(frame(RST, 0, 1, b"123"), SIZE),
    "a reset of no stream": broken(rst(0, 0), PROTOCOL),
    "a reset of a stream that nobody opened": broken(rst(7, 0), PROTOCOL),
    "priority of no stream": broken(frame(PRIORITY, 0, 0, b"12345"), PROTOCOL),
    "priority of a wrong length": broken(frame(PRIORITY, 0, 1, b"1234"), SIZE),
    "a head on no stream": broken(head(0), PROTOCOL),
    "a head on an even stream": broken(head(2), PROTOCOL),
    "a head on a stream that nobody opened": broken(head(7), PROTOCOL),
    "the start of a head on a stream that nobody opened": broken(head(7, b"\x89", 0), PROTOCOL),
    "a body on no stream": broken(body(0, b"x"), PROTOCOL),
    "a body on an even stream": broken(body(2, b"x"), PROTOCOL),
    "a body on a stream that nobody opened": broken(body(7, b"x"), PROTOCOL),
    "a head with more padding than payload": broken(frame(HEADERS, 0xD, 1, b"\x01"), PROTOCOL),
    "a head with room for no padding": broken(frame(HEADERS, 0xD, 1), SIZE),
    "a head with no room for its priority": broken(frame(HEADERS, 0x25, 1, b"1234"), SIZE),
    "a body with more padding than payload": broken(head(1, OK, 0x4) + frame(DATA, 0x8, 1, b"\x05hell"), PROTOCOL),
    "a part of no head": broken(frame(CONTINUATION, 0x4, 1, b"\x89"), PROTOCOL),
    "a ping within a head": broken(head(1, b"\x89", 0) + frame(PING, 0, 0, b"12345678"), PROTOCOL),
    "an unknown frame within a head": broken(head(1, b"\x89", 0) + frame(0x99), PROTOCOL),
    "another answer within a head": broken(head(1, b"\x89", 0) + head(3), PROTOCOL),
    "a part of another head": broken(head(1, b"\x89", 0) + frame(CONTINUATION, 0x4, 3), PROTOCOL),
    "a head of endless parts": broken(head(1, b"\x89", 0) + frame(CONTINUATION, 0, 1) * 65, CALM),
    "a head of long parts": broken(head(1, b"\x89", 0) + frame(CONTINUATION, 0, 1, b"\x89" * 16384) * 4, CALM),
    "an index of nothing": broken(head(1, b"\x80"), COMPRESSION),
    "an index beyond the table": broken(head(1, b"\x89\xbe"), COMPRESSION),
    "a name beyond the table": broken(head(1, b"\x89\x0f\x40\x01x"), COMPRESSION),
    "a head that ends in a field": broken(head(1, b"\x89\x00\x05abc"), COMPRESSION),
    "a number without end": broken(head(1, b"\xff" + b"\xff" * 100), COMPRESSION),
    "wrong padding of Huffman": broken(head(1, b"\x89\x00\x01a\x81\x00"), COMPRESSION),
    "a table update after a field": broken(head(1, b"\x89\x20"), COMPRESSION),
    "a table larger than allowed": broken(head(1, b"\x3f\xe2\x1f\x89"), COMPRESSION),
    "a bomb": broken(head(1, b"\x88\x40\x01x\x7f\x81\x1c" + b"v" * 3712 + b"\xbe" * 12000), COMPRESSION),
}

SECOND: dict[str, Case] = {
    "an answer after the answer": Case(head(1) + head(1), [204, "malformed", "malformed"], CLOSED),
    "a body after the answer": Case(head(1) + body(1, b"x"), [204, "malformed", "malformed"], CLOSED),
}

CASES = {**ANSWERS, **PEERS, **MALFORMED, **BREAKS, **SECOND}
