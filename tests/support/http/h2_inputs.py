"""Inputs of `fuzz_h2.py`: answers in good order, and the same after accidents."""

from __future__ import annotations

import random
from collections.abc import Sequence

import hpack

from tests.support.http.h2 import frame, goaway, head, literal, rst, settings

STREAMS = (1, 3, 5, 7)
MAX_BODY = 1024
MAX_BYTES = 500_000
"""Of an input: more than any bound, so that each can be passed."""
BLOCKS = [
    b"\x89", b"\x88", b"\x8d", b"\x20", b"\x3f\xe1\x1f", b"\xbe", b"\x40\x01a\x01b", b"\x82", b"\x7f\x00\x01x",
    literal(b"content-length", b"5"), literal(b"A", b"b"), literal(b":status", b"103"), b"\xff\xff\xff\x7f",
    b"\x00\x82\x00\x00\x81\xff", b"\x0f\x2f\x7f\x81\x1f",
]  # fmt: skip


JSON = b'{"error":"no such session","code":"not_found"}'
FIELDS = [
    (b"date", b"Tue, 24 Nov 2026 14:16:28 GMT"), (b"server", b"x"), (b"x-request-id", b"r1"), (b"x-request-id", b"r2"),
    (b"long", b"v" * 130), (b"longer", b"v" * 3000), (b"vary", b""), (b"accept-encoding", b"gzip, deflate"),
]  # fmt: skip
HEADS = [
    [(b":status", status), *FIELDS[at : at + length]]
    for status in (b"204", b"204", b"404", b"200", b"599")
    for at in range(len(FIELDS))
    for length in range(4)
]


def disturbed(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Return a conversation of the corpus after a few accidents to its frames, and then to its bytes."""
    whole, rest = apart(chance.choice(corpus))
    for _ in range(chance.randrange(5)):
        accident(chance, whole, corpus)
    data = bytearray((b"".join(whole) + rest)[:MAX_BYTES])
    for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 5))
            case _:
                del data[at:]
    return bytes(data)


def conversation(chance: random.Random) -> tuple[bytes, tuple[tuple[object, ...], ...]]:
    """Return answers for 1, 3 and 5 as a server may give them, and for each what must become of it."""
    encoder = hpack.Encoder()
    encoder.header_table_size = chance.choice((0, 100, 4096))
    expected: list[tuple[object, ...]] = []
    parts: dict[int, list[tuple[int, list[tuple[bytes, bytes]], bytes]]] = {}
    for stream in STREAMS[:3]:
        status, *fields = chance.choice(HEADS)
        body = chance.choice((b"", b"x", JSON, JSON * 60)) if status[1] != b"204" else b""
        bad = chance.random() < 0.1
        if bad:
            fields.insert(0, hpack.NeverIndexedHeaderTuple(b"Upper", b"x"))
        parts[stream] = [(1, [(b":status", b"103"), chance.choice(FIELDS)], b"")] * chance.choice((0, 0, 0, 2))
        parts[stream].append((1, [status, *fields], b""))
        if body:
            where = chance.randrange(len(body))
            parts[stream] += [(0, [], body[:where]), (0, [], body[where:])]
        if chance.random() < 0.1 and status[1] != b"204":
            parts[stream].append((1, [chance.choice(FIELDS)], b""))
        kept = body[:MAX_BODY]
        expected.append(("malformed",) if bad else (int(status[1]), tuple(fields), kept, len(kept) == len(body)))
    said = []
    while left := [stream for stream in parts if parts[stream]]:
        stream = chance.choice(left)
        kind, fields, data = parts[stream].pop(0)
        end = 0 if parts[stream] else 1
        if kind:
            data = encoder.encode(fields, huffman=chance.random() < 0.5)
            if chance.random() < 0.2:
                where = chance.randrange(len(data))
                said += [frame(1, end, stream, data[:where]), frame(9, 4, stream, data[where:])]
                continue
            end |= 4
        if chance.random() < 0.2:
            padding = chance.randrange(40)
            end, data = end | 8, bytes((padding,)) + data + b"p" * padding
        said.append(frame(kind, end, stream, data))
        if chance.random() < 0.2:
            said.append(chance.choice((frame(6, 0, 0, b"12345678"), settings(), frame(0x99, 1, stream))))
    return b"".join(said), tuple(expected)


def accident(chance: random.Random, whole: list[bytes], corpus: Sequence[bytes]) -> None:
    """Disturb a list of frames."""
    at = chance.randrange(len(whole) + 1)
    if at == len(whole) or chance.random() < 0.3:
        others = apart(chance.choice(corpus))[0]
        whole.insert(at, chance.choice(others) if others and chance.random() < 0.3 else invented(chance))
        return
    kind, flags, stream, payload = whole[at][3], whole[at][4], int.from_bytes(whole[at][5:9], "big"), whole[at][9:]
    match chance.randrange(8):
        case 0:
            del whole[at]
        case 1:
            whole[at:at] = [whole[at]] * (chance.choice((1, 2, 20)) if chance.random() < 0.99 else 11_000)
        case 2:
            other = chance.randrange(len(whole))
            whole[at], whole[other] = whole[other], whole[at]
        case 3:
            whole[at] = frame(kind, flags ^ 1 << chance.randrange(8), stream, payload)
        case 4:
            whole[at] = frame(kind, flags, chance.choice((*STREAMS, 0, 2, 9, 2**31 + 1)), payload)
        case 5:
            whole[at] = frame(chance.randrange(12), flags, stream, payload)
        case 6:
            where = chance.randrange(len(payload) + 1)
            more = chance.choice(BLOCKS) * (1 if chance.random() < 0.98 else 3000)
            whole[at] = frame(kind, flags, stream, payload[:where] + more + payload[where + chance.randrange(3) :])
        case _ if payload:  # the frame goes on in another
            where = chance.randrange(len(payload))
            whole[at : at + 1] = [
                frame(kind, flags & ~0x4, stream, payload[:where]),
                frame(9, 4, stream, payload[where:]),
            ]
        case _:
            pass


def invented(chance: random.Random) -> bytes:
    """Return a frame that may come at any time."""
    stream = chance.choice(STREAMS)
    match chance.randrange(8):
        case 0:
            return head(
                stream, b"".join(chance.choices(BLOCKS, k=chance.randrange(1, 5))), chance.choice((0x5, 0x4, 0x1))
            )
        case 1:
            return frame(0, chance.choice((0, 1, 8, 9)), stream, chance.randbytes(chance.choice((0, 1, 5, 600, 16384))))
        case 2:
            return rst(stream, chance.choice((0, 2, 7, 8)))
        case 3:
            return goaway(chance.choice((0, 1, 3, 2**31 - 1)), chance.randrange(14))
        case 4:
            return settings((chance.randrange(8), chance.choice((0, 1, 4096, 65535, 2**31 - 1, 2**31))))
        case 5:
            return frame(8, 0, chance.choice((0, stream)), chance.choice((0, 1, 65535, 2**31 - 1)).to_bytes(4, "big"))
        case 6:
            return frame(6, chance.randrange(2), 0, chance.randbytes(8))
        case _:
            return frame(chance.randrange(256), chance.randrange(256), chance.choice((0, stream)), chance.randbytes(5))


def apart(data: bytes) -> tuple[list[bytes], bytes]:
    """Split into whole frames and what is left."""
    whole = []
    while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3], "big")):
        whole.append(data[:end])
        data = data[end:]
    return whole, data
