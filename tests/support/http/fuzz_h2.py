"""Feed disturbed HTTP/2 to a connection, whole and in pieces, and see that nothing but the rules happens.

    python -m tests.support.http.fuzz_h2 [--inputs 1000000] [--seed 1] [--keep DIR]

Every input must leave each exchange with an answer or a fault, the same however it is cut, within the bounds, and
quickly; now and then the library h2 has to read the same answers. The corpus (`corpus/h2/`) holds what a peer said
after its settings, to requests on the streams 1, 3, 5 and 7, the last of them cancelled. An input that breaks a rule
is written to DIR and ends the run with 1.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS, Exchange
from reaper.api.http.h2.response import Response
from tests.support.http import fuzz
from tests.support.http.fuzz import Input
from tests.support.http.h1 import cut, one_by_one
from tests.support.http.h2 import Stage, became, frames, settings
from tests.support.http.h2_inputs import MAX_BODY, STREAMS, conversation, disturbed
from tests.support.objects import kept

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "h2"
SLOW_S = 2.0
ORACLE_EVERY = 15


def pieces(chance: random.Random, data: bytes) -> list[bytes]:
    if len(data) < 300 and chance.random() < 0.2:
        return list(one_by_one(data))
    return cut(data, [chance.randrange(len(data) + 1) for _ in range(chance.choice((1, 1, 3, 12)))])


@dataclass(frozen=True)
class Seen:
    """The end of every exchange, and of the connection."""

    fates: tuple[int | str | None, ...]
    """Before the end of the stream; None: under way."""
    bodies: tuple[bytes, ...]
    headers: tuple[tuple[tuple[bytes, bytes], ...], ...]
    whole: tuple[bool, ...]
    closed: bool


def play(parts: Sequence[bytes]) -> Seen:
    """Feed a conversation to a connection. Raises AssertionError for a rule that shows within."""
    stage = Stage()
    asked = stage.ask(len(STREAMS), max_body_bytes=MAX_BODY)
    stage.connection.abandon(asked[3])
    stage.loop.settle()
    stage.said()
    for number, part in enumerate(parts, 1):
        if part:
            stage.say(part)
        if number % max(1, len(parts) // 4) == 0:
            shared = stage.connection.get_buffer(-1).obj
            longest = max(len(one) for one in kept(stage.connection, bytearray) if one is not shared)
            assert longest <= MAX_HEAD_BYTES + 16384, "the beginning of a frame, or a header block, grows"
            assert len(kept(stage.connection, Response)) <= 3, "answers of nobody"
    written = b"".join(stage.wire.writes)
    frames(written)
    assert len(written) <= 2 * sum(map(len, parts)) + 1000, "we say more than the peer"
    seen = Seen(
        tuple(map(became, asked)),
        tuple(bytes(one.body) for one in asked),
        tuple(tuple(one.response_headers) for one in asked),
        tuple(one.whole for one in asked),
        stage.wire.closed,
    )
    check_bounds(asked)
    stage.connection.eof_received()
    stage.lose()
    assert all(one.finished for one in asked[:3]), "an exchange did not end"
    assert stage.owner.closed_count == 1
    assert stage.connection.room == 0
    return seen


def check_bounds(asked: list[Exchange]) -> None:
    for one in asked:
        fate = became(one)
        assert len(one.body) <= MAX_BODY, "the bound of the body"
        assert len(one.response_headers) <= MAX_HEADERS, "the bound of the lines"
        assert sum(len(name) + len(value) for name, value in one.response_headers) <= MAX_HEAD_BYTES
        assert fate in (None, "malformed", "reset", "refused") or isinstance(fate, int)
        assert not isinstance(fate, int) or (200 <= fate <= 999 and one.response_started)
        assert fate != "refused" or not one.response_started, "refused after a first byte"


def oracle(data: bytes) -> tuple[dict[int, int], dict[int, bytes], set[int]] | None:
    """Return statuses, bodies and the streams that ended, as the library h2 has them; None if it refuses the input."""
    config = h2.config.H2Configuration(client_side=True, header_encoding=None)
    peer = h2.connection.H2Connection(config)
    peer.initiate_connection()
    peer.receive_data(settings())
    for stream in STREAMS:
        request = [(":method", "DELETE"), (":scheme", "https"), (":authority", "h"), (":path", "/")]
        peer.send_headers(stream, request, end_stream=True)
    peer.reset_stream(7)
    statuses: dict[int, int] = {}
    bodies: dict[int, bytes] = {}
    ended: set[int] = set()
    try:
        for event in peer.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                assert event.headers is not None
                statuses[event.stream_id] = int(dict(event.headers)[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + (event.data or b"")
            elif isinstance(event, h2.events.StreamEnded):
                ended.add(event.stream_id)
    except (h2.exceptions.H2Error, ValueError, KeyError):
        return None
    return statuses, bodies, ended


def broken_rule(data: bytes, parts: list[bytes], *, ask_oracle: bool) -> tuple[str | None, Seen]:
    """Return which rule an input broke, if any, and what became of it."""
    begun = time.process_time()
    at_once, in_pieces = play([data]), play(parts)
    if time.process_time() - begun > SLOW_S:
        return "it took too long", at_once
    if at_once != in_pieces:
        return f"the pieces matter: {at_once} and {in_pieces}", at_once
    theirs = oracle(data) if ask_oracle else None
    if theirs is not None:
        statuses, bodies, ended = theirs
        for stream, fate, body, whole in zip(STREAMS, at_once.fates, at_once.bodies, at_once.whole, strict=True):
            if isinstance(fate, int) and whole and stream in ended:
                if (fate, body) != (statuses.get(stream), bodies.get(stream, b"")):
                    return f"stream {stream}: h2 has {statuses.get(stream)}, we {fate}", at_once
            elif isinstance(fate, int) and whole:
                return f"stream {stream}: h2 has no whole answer, we {fate}", at_once
    return None, at_once


def became_of(seen: Seen) -> tuple[tuple[object, ...], ...]:
    """Return what `conversation` foretells."""
    return tuple(
        (fate, headers, body, whole) if isinstance(fate, int) else (fate,)
        for fate, headers, body, whole in zip(seen.fates[:3], seen.headers, seen.bodies, seen.whole, strict=False)
    )


def make(chance: random.Random, corpus: list[bytes], number: int) -> Input:
    expected = None
    if number % 4:
        data = disturbed(chance, corpus)
    else:
        data, expected = conversation(chance)
        if number % 8:
            data, expected = disturbed(chance, [data]), None
    parts = pieces(chance, data)
    ask_oracle = number % ORACLE_EVERY == 0

    def played() -> tuple[str | None, list[str]]:
        rule, seen = broken_rule(data, parts, ask_oracle=ask_oracle)
        if rule is None and expected is not None and became_of(seen) != expected:
            rule = f"{expected} was said, {became_of(seen)} understood"
        kinds = ["also read by h2"] * ask_oracle
        for fate, whole in zip(seen.fates[:3], seen.whole, strict=False):
            answer = f"answer {fate // 100}xx{'' if whole else ', cut'}" if isinstance(fate, int) else fate
            kinds.append(answer or "under way")
        return rule, [*kinds, "connection closed" if seen.closed else "connection open"]

    return Input(data, parts, played)


def main(arguments: Sequence[str] | None = None) -> int:
    return fuzz.main(arguments, "Feed disturbed HTTP/2 to a connection.", CORPUS, "h2-{}.bin", make)


if __name__ == "__main__":
    sys.exit(main())
