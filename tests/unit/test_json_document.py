"""JSON documents as input: what is one, where its entries are, and that half of one is never taken."""

import json
import tracemalloc

import pytest

from reaper.core.errors import UsageError
from reaper.core.json_list import MAX_DEPTH, NoListError, entries
from reaper.intake.json_document import Document, is_document
from reaper.intake.line_grammar import MAX_ENTRY_BYTES, Title, parse_entry
from reaper.queues.values import InvalidLine, NewItem


def found(text: bytes) -> list[bytes]:
    return [text[begin:end] for begin, end in entries(text)]


@pytest.mark.parametrize(
    ("head", "verdict"),
    [
        (b"[", True),
        (b"\xef\xbb\xbf\r\n [", True),
        (b'{"sessions": []}\n', True),
        (b'{"next": null, "sessions": [{"sessionId": "a"}]}', True),
        (b'{\n "session_id": "a"\n}\n', True),
        (b'{"session_id": "a"} {"session_id": "b"}\n', True),
        (b'{"session_id": "a"\n', True),
        (b'{"session_id": "a"}\n', False),
        (b'{"session_id": "a"}', False),
        (b'{}\n{"session_id": "a"}\n', False),
        (b"env_1\n[", False),
        (b"# a comment\n[", False),
        (b"\n" * 9000, False),
        (b"", False),
    ],
)
def test_the_first_byte_tells_a_document_from_lines(head: bytes, verdict: bool) -> None:
    assert is_document(head, at_end=True) is verdict
    for length in range(len(head[:200])):
        assert is_document(head[:length], at_end=False) in (None, verdict)


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
def test_the_entries_of_a_list_are_found_wherever_it_stands(indent: int | str | None) -> None:
    sessions = [
        {"sessionId": "a", "x": [1, {"y": [[]], "z": {}}]},
        "b",
        None,
        1.5e-3,
        '\\"[{,\u00e9',
        [],
        {},
        [[["]"]]],
    ]
    for whole in (sessions, {"a": [[[1]]], "sessions": sessions, "z": {"sessions": ["no"]}}):
        text = json.dumps(whole, indent=indent, ensure_ascii=False).encode()
        assert [json.loads(entry) for entry in found(text)] == sessions


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" ", b"5", b'"a"', b"[", b"]", b"[,]", b"[1,]", b"[1 2]", b'["a"', b'["a]', b'["\n"]', b'["\\x"]'),
        *(
            b"[01]",
            b"[+1]",
            b"[nul]",
            b"[NaN]",
            b"[{]",
            b"[[}]",
            b'[{"a":[[[1]]}]',
            b'[[[[[{"a" 1}]]]]]',
            b"[1] 2",
            b"[1]]",
        ),
        *(b"{", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{a:1}", b'{"a":1 "b":2}', b'{"sessions":[1]', b'{"sessions":{}}'),
        *(b'{"sessions":[1],"sessions":[2]}', b"[" * (MAX_DEPTH + 2)),
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|array|nested|two lists") as caught:
        found(text)
    assert not isinstance(caught.value, NoListError)


def test_objects_in_a_row_are_pointed_to_jq() -> None:
    for text in (b'{"session_id": "a"}', b'{"a": 1}\n{"b": 2}', b"{}"):
        with pytest.raises(ValueError, match=r"jq -c \."):
            found(text)


@pytest.mark.parametrize(
    ("text", "what_to_do"),
    [
        (b'["a", "b" ,\n]', "take the comma before the bracket away"),
        (b'{"session_id": "a",}\n', "take the comma before the bracket away"),
        (b'{"sessions": ["a",],}', "take the comma before the bracket away"),
        (b'{"session_id": "a"},\n{"session_id": "b"}\n', "take the commas between its objects away"),
        (b'{"session_id": "a"}\n{"session_id": "b"}\n{', "jq -c"),
        (b'["a", "b" "c"]', "read as one JSON list"),
    ],
)
def test_the_refusal_of_a_document_says_what_to_do(text: bytes, what_to_do: str) -> None:
    document = Document("list.json", 1000)
    document.feed(text)
    with pytest.raises(UsageError, match=what_to_do):
        document.finish()


@pytest.mark.parametrize(
    "half",
    [b'["a",\n"b"', b'["a",\n"b",', b'{"sessions": ["a"\n'],
    ids=["cut behind an entry", "cut behind a comma", "cut in an object"],
)
def test_half_a_document_gives_no_entry(half: bytes) -> None:
    document = Document("list.json", 1000)
    document.feed(half)
    with pytest.raises(UsageError, match=r"list\.json is refused whole: its JSON ends too early \(line 2, byte "):
        document.finish()
    assert document.next() is None
    with pytest.raises(UsageError, match="more than 0 MiB"):
        document.feed(b" " * 1000)


def test_a_dense_document_costs_little_more_than_its_bytes() -> None:
    # As Python objects this would be forty times as much.
    text = b"[" + b"{}," * 20_000 + b"[" + b"1," * 40_000 + b"2]]"
    tracemalloc.start()
    document = Document("list.json", len(text))
    document.feed(text)
    document.finish()
    while document.next() is not None:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(text) + 100_000


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b"null", "no value"),
        (b'"None"', "no value"),
        (b"5", "must be a session ID or an object"),
        (b'["a"]', "must be a session ID or an object"),
        (b'""', "empty"),
        (b'"a b"', "take the note"),
        (b'"\\ud800"', r"'\ud800'"),
        (b'{"id": "a", "type": "x"}', "something else"),
        (b'{"sessionId": "a", "expiresAt": "soon"}', "expiresAt"),
        (b'"' + b"a" * 4096 + b'"', "longer than 4096 bytes"),
        (b'{"sessionId": "a", "x": "' + b"y" * MAX_ENTRY_BYTES + b'"}', "longer than 4096 bytes"),
    ],
)
def test_an_entry_is_refused_as_a_line_would_be(entry: bytes, reason: str) -> None:
    judged = parse_entry(entry, 3)
    assert isinstance(judged, InvalidLine)
    assert judged.line == 3
    assert reason in judged.reason


def test_an_entry_is_taken_as_a_line_would_be() -> None:
    many_blanks = b'{"sessionId":' + b" " * 9000 + b'"a", "x": [{}, []], "expiresAt": "2030-01-01T12:00:00Z"}'
    assert parse_entry(many_blanks, 1) == NewItem("a", 1893499200.0)  # type: ignore[arg-type]
    assert parse_entry(b'" a\\n"', 1) == NewItem("a")  # type: ignore[arg-type]
    assert isinstance(parse_entry(b'"sessionId"', 1), Title)
