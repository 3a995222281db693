"""The line of a settled session by its template is the line of the general way, to the byte, and is masked as it is."""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaper.core.model import Lease, Outcome, Send, SessionId, Settle
from reaper.telemetry import event_log, logs
from reaper.telemetry.event_log import LogJournal
from reaper.telemetry.redaction import MASK

TEXTS = st.text(max_size=30) | st.sampled_from(["\x1b[31m", "\x85", "\u202e", "\ud800", "é", '"', "\\", "\x00", "a\nb"])
SECONDS = st.floats(0, 1e9)
SENDS = st.none() | st.builds(
    Send,
    at=SECONDS,
    duration_s=SECONDS,
    status=st.none() | st.integers(100, 599),
    error=st.none() | TEXTS,
    request_id=st.none() | TEXTS,
)
SETTLES = st.builds(Settle, st.sampled_from(Outcome), st.none() | TEXTS, st.booleans())
TOKEN = 'archal_ws_s3cr"et'


def lease_of(session_id: str, source: str, attempts: int, unanswered: int = 0) -> Lease:
    return Lease(SessionId(session_id), "", 1, attempts, 1, unanswered, False, False, source, 0.0, 0.0)


LEASES = st.builds(lease_of, TEXTS, TEXTS, st.integers(0, 99), st.integers(0, 2))


def logged(write: Callable[[LogJournal], None], *, secrets: tuple[str, ...] = (), level: str = "info") -> str:
    stream = io.StringIO()
    settings = SimpleNamespace(log_format="json", log_level=level, log_schema="plain")
    logs.configure(settings, stream, secrets=lambda: secrets)

    async def in_one_turn() -> None:
        write(LogJournal())
        assert not stream.getvalue(), "the lines of one turn of the loop are written together"

    try:
        asyncio.run(in_one_turn())
        return stream.getvalue()
    finally:
        logs.reset()


def timeless(line: str) -> str:
    return re.sub(r'"timestamp": "[0-9TZ:.-]{27}"', '"timestamp": ""', line)


@given(LEASES, SETTLES, SENDS, SECONDS)
def test_the_template_gives_the_line_of_the_general_way(
    lease: Lease, settle: Settle, send: Send | None, waited_s: float
) -> None:
    def settled(journal: LogJournal) -> None:
        journal.settled(lease, settle, send, waited_s)

    by_template = logged(settled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "write_info", lambda line: False)
        general = logged(settled)
    assert json.loads(by_template)["session_id"] == lease.session_id
    assert timeless(by_template) == timeless(general)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["", TOKEN, f"a {TOKEN} b", json.dumps(TOKEN)])), max_size=6))
def test_of_lines_written_together_those_with_a_secret_are_masked_and_the_others_stay(
    texts: list[tuple[str, str]],
) -> None:
    def write(journal: LogJournal) -> None:
        for text, secret in texts:
            journal.settled(lease_of(text, secret, 0), Settle(Outcome.STOPPED, secret or None), None, 1.0)

    plain, masked = logged(write).splitlines(), logged(write, secrets=(TOKEN,)).splitlines()
    assert len(plain) == len(masked) == len(texts)
    for line, clean, (text, secret) in zip(plain, masked, texts, strict=True):
        if secret:
            assert "s3cr" not in clean
            assert MASK in json.loads(clean)["source"]
            assert json.loads(clean)["session_id"] == text
        else:
            assert timeless(clean) == timeless(line)


@pytest.mark.parametrize("level", ["warning", "error"])
def test_a_level_above_info_writes_no_line(level: str) -> None:
    def settled(journal: LogJournal) -> None:
        journal.settled(lease_of("a", "b", 0), Settle(Outcome.STOPPED), None, 1.0)

    assert logged(settled, level=level) == ""
    assert logged(settled, level="debug") != ""


@pytest.mark.parametrize("waited_s", [math.inf, math.nan])
def test_a_line_that_is_no_json_is_masked_as_text_and_takes_no_other_with_it(waited_s: float) -> None:
    def write(journal: LogJournal) -> None:
        journal.settled(lease_of("a", TOKEN, 0), Settle(Outcome.STOPPED), None, waited_s)
        journal.settled(lease_of("b", "file", 0), Settle(Outcome.STOPPED), None, 1.0)

    odd, other = logged(write, secrets=(TOKEN,)).splitlines()
    assert MASK in odd
    assert "s3cr" not in odd
    assert json.loads(other)["session_id"] == "b"
