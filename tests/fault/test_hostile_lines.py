"""Input by an enemy: whatever a line holds, the server only ever sees one clean path segment, a well-formed ID."""

from __future__ import annotations

import json
import random
import re
import time
from functools import partial

import pytest

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.core.ids import NO_VALUES
from reaper.core.model import SessionId
from reaper.intake.line_grammar import parse, parse_entry
from reaper.queues.values import NewItem
from reaper.sandbox.routes import decoded
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import settle_up
from tests.support.fault.profile import Profile
from tests.support.fault.warm import Warm
from tests.support.processes.command import TOKEN, Command, aim
from tests.support.sandbox import running_sandbox

GRAMMAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
CORPUS = [
    *(
        b"env_1",
        b"ses-01H",
        b"a" * 128,
        b"a" * 129,
        b"a" * 5000,
        b"",
        b" ",
        b"#x",
        b".",
        b"..",
        b"a..b",
        b"../../auth/me",
    ),
    *(
        b"%2e%2e",
        b"%2F",
        b"a%00b",
        b"a/b",
        b"a\\b",
        b"a?b=c",
        b"a#b",
        b"a;b",
        b"a&b",
        b"a b",
        b"a\tb",
        b"a+b",
        b"a@b:c",
    ),
    b"a\r\nHost: evil",
    b"a\rb",
    b"x HTTP/1.1\r\n\r\nDELETE /api/sessions/y",
    b"\x00",
    b"a\x00",
    b"\x1b[2J",
    b"\x7f",
    *(
        b"\xff\xfe",
        b"\xef\xbb\xbfenv_2",
        b"\xc0\xae\xc0\xae/",
        b"\xe2\x80\xaea",
        b"\xef\xbc\x8f",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
    ),
    "ａｂｃ".encode(),
    "١٢٣".encode(),
    b"K",
    "ſ".encode(),
    "a\u2028b".encode(),
    "\U0001f4a3".encode(),
    *(
        b"'; DROP TABLE item; --",
        b"$(reboot)",
        b"`id`",
        b"{{7*7}}",
        b"%s%n",
        b"http://evil/",
        b"//evil",
        b"file:///etc",
    ),
    *(
        b'{"session_id": "env_3"}',
        b'{"id": "../x"}',
        b'{"id": "a", "id": "b"}',
        b'{"id": "a\\u0000"}',
        b'{"id": "\\ud800"}',
    ),
    *(
        b'{"id": ["a"]}',
        b'{"id": 1e999}',
        b'{"id": "a", "due_at": "9999-12-31T23:59:60Z"}',
        b"[" * 3000,
        b'{"a":' * 600,
    ),
    *(
        b'{"id": "a", "due_at": -1}',
        b'{"id": null}',
        b"null",
        b'"env_4"',
        b"NaN",
        b"{",
        b"}",
        b'{"id": "x"} {"id": "y"}',
    ),
    *(b"None", b"undefined", b"NIL", b"True", b"session_id", b"sessionId", b"\xef\xbb\xbfnull"),
    *(
        b'{"id": "evt_1", "type": "session.created"}',
        b'{"id": "c", "session": {"id": "b"}}',
        b'{"id": "x", "session_id": "b"}',
        b'{"session_id": "undefined"}',
    ),
    TOKEN.encode(),
]
PIECES = [
    *(bytes([byte]) for byte in range(256)),
    b"..",
    b"%2e",
    b"%2F",
    b"\r\n",
    b'"id":',
    b'{"id": "',
    b'"}',
    b"env_",
]


def line(chance: random.Random) -> bytes:
    """Return one line of the enemy's: from the corpus, changed a little, or made of pieces."""
    lot = chance.random()
    if lot < 0.2:
        made = bytearray(chance.choice(CORPUS))
    elif lot < 0.6:
        made = bytearray(chance.choice(CORPUS))
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(made))
            made[at : at + chance.randint(0, 1)] = chance.choice(PIECES)
    else:
        made = bytearray().join(chance.choices(PIECES, k=chance.randint(1, 12)))
    return bytes(made).replace(b"\n", b"")


@pytest.mark.timeout(3600)
def test_a_line_becomes_one_clean_segment_or_nothing(profile: Profile, chance: random.Random) -> None:
    taken = 0
    client = Client(Target("http://127.0.0.1:1", 20.0, 5.0), Credentials(None, "token"))

    def path_of(session_id: SessionId) -> str:
        return client.session_path(session_id).decode("latin-1")

    begun = time.monotonic()
    for _ in range(profile.lines):
        raw = line(chance)
        entry = json.dumps(raw.decode("utf-8", "replace")).encode() if chance.random() < 0.2 else None
        found = parse(raw, 2) if entry is None else parse_entry(entry, 2)
        if isinstance(found, NewItem):
            taken += 1
            assert GRAMMAR.fullmatch(found.session_id), raw
            assert ".." not in found.session_id, raw
            assert found.session_id.lower() not in NO_VALUES, raw
            assert decoded(path_of(found.session_id)) == found.session_id, raw
        # The encoder stands alone too: were the grammar to let it through, it would be one segment all the same.
        text = raw.decode("utf-8", "replace")
        if text and text not in (".", ".."):
            path = path_of(SessionId(text))
            assert path.isascii(), raw
            assert decoded(path) == text, raw
    assert taken > profile.lines / 50
    print(
        f"\n{profile.lines} hostile lines, {taken} well-formed, {time.monotonic() - begun:.0f} s, seed {profile.seed}"
    )


def test_the_server_sees_only_clean_segments(command: Command, warm: Warm, chance: random.Random) -> None:
    # A file with NUL bytes is taken for a binary one and refused whole.
    lines = [one for one in (*CORPUS, *(line(chance) for _ in range(3_000))) if b"\0" not in one]
    judged = [parse(one.rstrip(b"\r"), number) for number, one in enumerate(lines, 1)]
    ids = {one.session_id for one in judged if isinstance(one, NewItem) and one.due_at is None}
    later = {one.session_id for one in judged if isinstance(one, NewItem)} - ids
    (command.home / "hostile.txt").write_bytes(b"\n".join(lines) + b"\n")
    with running_sandbox([]) as sandbox:
        aim(command, sandbox, worker__concurrency=32)
        done = warm.run(command, "once", "-v", "--json", "hostile.txt")
        assert done.returncode == 3, done.stderr
        assert sandbox.counters.unclean == sandbox.counters.others == 0
        assert ids <= {delete.session_id for delete in sandbox.deletes} <= ids | later
        settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=32, sends_per_id=1),
            run=partial(warm.run, command),
            offered=later,
            settled=not later,
            texts={"stdout": done.stdout, "stderr": done.stderr},
        )
    assert len(ids) > 20
