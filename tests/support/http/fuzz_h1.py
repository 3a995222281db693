"""Feed disturbed HTTP/1.1 answers to a connection, whole and in pieces, and see that nothing but the rules happens.

    python -m tests.support.http.fuzz_h1 [--inputs 1000000] [--seed 1] [--keep DIR]

Every input must end in an answer or a fault, the same however it is cut, within the bounds, and quickly. The corpus
(`corpus/h1/`) holds one answer per file. An input that breaks a rule is written to DIR and ends the run with 1.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS
from tests.support.http import fuzz
from tests.support.http.fuzz import Input
from tests.support.http.h1 import Seen, cut, one_by_one, play

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "h1"
MAX_BODY = 2048
SLOW_S = 2.0
WORDS = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b":", b" ", b"\t", b"\0", b"\x7f", b"\xff", b",", b";", b"0;", b"1;a=\"b",
    b"HTTP/1.1 204 G\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 ", b"RTSP/1.0 ", b"chunked", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: 18446744073709551615\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"0\r\n\r\n", b"5\r\nhello\r\n", b"ffffffffffffffff\r\n", b"a: b\r\n",
]  # fmt: skip


def disturbed(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Return an answer of the corpus after a few accidents."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(8):
            case 0:
                data[at:at] = chance.choice(WORDS)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 3:
                data[at:at] = chance.randbytes(chance.randrange(1, 5))
            case 4:
                other = chance.choice(corpus)
                data[at:] = other[chance.randrange(len(other)) :]
            case 5:
                data += chance.choice(corpus)
            case 6:
                del data[at:]
            case _:
                many = chance.choice((2, 3, 20)) if chance.random() < 0.99 else 70_000
                part = bytes(data[at : at + chance.randrange(1, 40)])
                data[at:at] = part * min(many, 140_000 // max(1, len(part)))
    return bytes(data)


def pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """Cut in one of three ways: at every byte, at one place, at a few."""
    if len(data) < 400 and chance.random() < 0.2:
        return list(one_by_one(data))
    return cut(data, [chance.randrange(len(data) + 1) for _ in range(chance.choice((1, 1, 3, 12)))])


def broken_rule(data: bytes, parts: list[bytes]) -> tuple[str | None, Seen | None]:
    """Return which rule an input broke, if any, and what became of it."""
    begun = time.perf_counter()
    at_once, in_pieces = play([data], MAX_BODY), play(parts, MAX_BODY)
    if time.perf_counter() - begun > SLOW_S:
        return "it took too long", at_once
    if at_once is None or in_pieces is None:
        return "the exchange did not end", at_once
    if at_once.fault not in (None, "malformed", "reset"):
        return f"fault {at_once.fault}", at_once
    if len(at_once.headers) > MAX_HEADERS or len(at_once.body) > MAX_BODY:
        return "a bound", at_once
    if sum(len(name) + len(value) for name, value in at_once.headers) > MAX_HEAD_BYTES:
        return "the bound of the head", at_once
    if at_once.fault is None and not 200 <= at_once.status <= 999:
        return f"status {at_once.status}", at_once
    # Framing without an end is found after 64 KiB, or a little later: only there may the pieces matter.
    if without_keep(at_once) != without_keep(in_pieces) and len(data) <= MAX_HEAD_BYTES:
        return f"the pieces matter: {at_once} and {in_pieces}", at_once
    return None, at_once


def without_keep(seen: Seen) -> tuple[object, ...]:
    """All but whether the connection is kept: the same however late the bytes after an answer come."""
    return seen.status, seen.headers, seen.body, seen.whole, seen.fault


def make(chance: random.Random, corpus: list[bytes], _: int) -> Input:
    data = disturbed(chance, corpus)
    parts = pieces(chance, data)

    def played() -> tuple[str | None, list[str]]:
        rule, seen = broken_rule(data, parts)
        if seen is None:
            return rule, []
        cut_off = "" if seen.whole or seen.fault else ", cut"
        return rule, [(seen.fault or f"answer {seen.status // 100}xx") + cut_off + (", kept" if seen.kept else "")]

    return Input(data, parts, played)


def main(arguments: Sequence[str] | None = None) -> int:
    return fuzz.main(arguments, "Feed disturbed HTTP/1.1 answers to a connection.", CORPUS, "h1-{}.http", make)


if __name__ == "__main__":
    sys.exit(main())
