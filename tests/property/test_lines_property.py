import json
import pickle
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reaper.core.ids import NO_VALUES, TITLES
from reaper.core.json_list import entries
from reaper.core.times import parse_time
from reaper.intake.json_document import is_document
from reaper.intake.line_grammar import MAX_LINE_BYTES, Title, parse
from reaper.intake.line_reader import BATCH_LINES, LineBuffer
from reaper.queues.values import InvalidLine, NewItem

GRAMMAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
ids = st.from_regex(GRAMMAR, fullmatch=True).filter(lambda text: ".." not in text and text.lower() not in NO_VALUES)
jsonish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | ids,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "session_id", "type", "due_at", "x"]), inner)
    ),
    max_leaves=6,
)
words = st.sampled_from([*NO_VALUES, *TITLES]).flatmap(lambda word: st.sampled_from([word, word.title(), word.upper()]))
rough = st.binary(max_size=200) | words.map(str.encode) | jsonish.map(lambda value: json.dumps(value).encode())
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(rough, st.integers(1, 3))
def test_any_line_is_judged_and_only_well_formed_ids_pass(line: bytes, number: int) -> None:
    found = parse(line, number)
    if isinstance(found, NewItem):
        assert GRAMMAR.fullmatch(found.session_id)
        assert ".." not in found.session_id
        assert found.session_id.lower() not in NO_VALUES
        assert found.due_at is None or found.due_at >= 0
    elif isinstance(found, Title):
        assert number == 1
        assert found.text.lower() in TITLES
    elif isinstance(found, InvalidLine):
        assert found.line == number
        assert found.reason.isprintable()
        assert found.text.isprintable()


@given(ids, st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=zones))  # noqa: DTZ001  # hypothesis adds the zone
def test_what_a_json_line_says_comes_through(session_id: str, due: datetime) -> None:
    line = json.dumps({"sessionId": session_id, "expiresAt": due.isoformat()}).encode()
    found = parse(line, 1)
    assert isinstance(found, NewItem)
    assert found.session_id == session_id
    assert found.due_at is not None
    assert abs(found.due_at - due.timestamp()) < 1e-5
    assert parse_time(due.astimezone(UTC).isoformat()) == found.due_at


documents = st.lists(jsonish, max_size=4).flatmap(
    lambda entries: st.sampled_from([entries, {"next": entries, "sessions": entries}])
)


@given(documents, st.sampled_from([None, 0, 3]))
def test_the_entries_of_a_document_are_those_of_the_json(whole: object, indent: int | None) -> None:
    text = json.dumps(whole, indent=indent, allow_nan=True)
    assume("NaN" not in text and "Infinity" not in text)
    raw = text.encode("utf-8", "surrogatepass")
    expected = whole["sessions"] if isinstance(whole, dict) else whole
    assert [json.loads(raw[begin:end]) for begin, end in entries(raw)] == expected


@given(documents, st.data())
def test_a_changed_document_is_refused_exactly_when_it_is_no_json(whole: object, data: st.DataObject) -> None:
    text = bytearray(json.dumps(whole).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2).filter(bytes.isascii))
    try:
        value = json.loads(text.decode())
        usable = isinstance(value, list) or (isinstance(value, dict) and isinstance(value.get("sessions"), list))
    except ValueError:
        usable = False
    try:
        found: list[object] | None = [json.loads(text[begin:end]) for begin, end in entries(text)]
    except ValueError:
        found = None
    if b"NaN" in text or b"Infinity" in text:  # Python's own extension of JSON
        return
    if usable and not isinstance(value, list) and text.count(b'"sessions"') > 1:
        return
    assert found == ((value if isinstance(value, list) else value["sessions"]) if usable else None)


@given(documents, st.binary(max_size=3), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_what_an_input_is_does_not_depend_on_how_its_bytes_arrive(whole: object, head: bytes, sizes: list[int]) -> None:
    text = head + json.dumps(whole).encode()
    verdicts = {is_document(text, at_end=True)}
    for size in sizes:
        verdicts.add(is_document(text[:size], at_end=len(text) <= size))
    assert len(verdicts - {None}) == 1


pieces = st.sampled_from(
    [b"a", b"b1\n", b"\n", b"#c\n", b"bad one\n", b"\r\n", b"z" * 3000, b"z" * 9000, b"q\n" * 6000]
)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # the input's size is the point
@given(st.lists(pieces, max_size=12).map(b"".join), st.lists(st.integers(1, 9000), min_size=1, max_size=5))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data: bytes, sizes: list[int]) -> None:
    lines, found, at, turn = LineBuffer(), [], 0, 0
    while at < len(data) or lines.full:
        if lines.full:
            found.append(lines.take())
            continue
        size = sizes[turn % len(sizes)]
        lines.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    whole_bytes = data.rfind(b"\n") + 1
    # Judged and waiting lines are part of `offset`; nothing after the last newline is.
    found.append(lines.take())
    assert (lines.offset, lines.line) == (whole_bytes, data.count(b"\n"))
    lines.finish()
    found.append(lines.take())
    batches = [parsed for parsed in found if parsed is not None]
    judged = [parse(line, number) for number, line in enumerate(data.split(b"\n"), 1)]
    assert [item for parsed in batches for item in parsed.items] == [j for j in judged if isinstance(j, NewItem)]
    wrong = [(line.line, line.reason) for parsed in batches for line in parsed.invalid]
    assert wrong == [(j.line, j.reason) for j in judged if isinstance(j, InvalidLine)]
    before = 0
    for parsed in batches:
        assert parsed.line - before <= BATCH_LINES
        start = 0
        for _ in range(parsed.line):
            end = data.find(b"\n", start)
            start = len(data) if end < 0 else end + 1
        assert parsed.offset == start
        before = parsed.line
    assert lines.offset == len(data)


def test_a_line_of_any_length_takes_constant_memory() -> None:
    lines = LineBuffer()
    for _ in range(100):
        lines.feed(b"x" * 100_000)
        assert len(pickle.dumps(lines)) < 2 * MAX_LINE_BYTES
    lines.feed(b"\nok")
    lines.finish()
    parsed = lines.take()
    assert parsed is not None
    assert [(line.line, line.reason) for line in parsed.invalid] == [(1, "longer than 4096 bytes")]
    assert (parsed.items[0].session_id, parsed.offset) == ("ok", 10_000_003)
