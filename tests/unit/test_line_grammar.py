from collections.abc import Callable

import pytest

from reaper.core.ids import NO_VALUES
from reaper.core.model import SessionId
from reaper.intake.line_grammar import Title, parse, parse_entry
from reaper.intake.line_reader import LineBuffer
from reaper.queues.values import InvalidLine, NewItem

NOON = 1893499200.0
"""2030-01-01T12:00:00Z."""


def reason(line: bytes, number: int = 7) -> str:
    found = parse(line, number)
    assert isinstance(found, InvalidLine)
    assert found.line == number
    return found.reason


@pytest.mark.parametrize(
    "line",
    [b"env_12345", b"env_12345\r", b"  env_12345\t", b'{"session_id": "env_12345"}', b'{"id":"env_12345","x":[5]}'],
)
def test_a_line_names_a_session(line: bytes) -> None:
    assert parse(line, 3) == NewItem(SessionId("env_12345"))


@pytest.mark.parametrize("line", [b"", b"  \r", b"# env_12345", b"  #"])
def test_blank_lines_and_comments_are_nothing(line: bytes) -> None:
    assert parse(line, 1) is None


@pytest.mark.parametrize("number", [1, 2])
def test_a_byte_order_mark_may_begin_any_line(number: int) -> None:
    # `cat a.txt b.txt` of two files from Windows has the second one in the middle.
    assert parse(b"\xef\xbb\xbfenv_1\r", number) == NewItem(SessionId("env_1"))
    assert parse(b"\xef\xbb\xbf", number) is None
    assert parse(b'\xef\xbb\xbf{"sessionId": "env_1"}', number) == NewItem(SessionId("env_1"))
    assert "\\ufeff" in reason(b"env\xef\xbb\xbf_1")


@pytest.mark.parametrize("word", NO_VALUES)
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_what_programs_write_for_no_value_is_no_id(word: str, change: Callable[[str], str]) -> None:
    no_value = change(word)
    for line in (no_value, f" {no_value}\r", f'{{"session_id": "{no_value}"}}', f'{{"id": "{no_value}"}}'):
        assert "no value" in reason(line.encode())
    assert parse(f"{no_value}_1".encode(), 7) == NewItem(SessionId(f"{no_value}_1"))


@pytest.mark.parametrize("title", ["session_id", "sessionId", "id", "ID", "Session_ID"])
def test_a_column_title_on_the_first_line_is_skipped_and_said(title: str) -> None:
    found = parse(f"\ufeff{title}\r".encode(), 1)
    assert isinstance(found, Title)
    assert title in found.note
    assert parse(title.encode(), 2) == NewItem(SessionId(title))


def test_blank_lines_and_comments_may_stand_before_a_column_title() -> None:
    lines = LineBuffer()
    for piece in (b"# exported\n\n", b"\xef\xbb\xbf\r\nid\nenv_1\nid\n"):
        lines.feed(piece)
    parsed = lines.take()
    assert parsed is not None
    assert ([item.session_id for item in parsed.items], len(parsed.notes)) == (["env_1", "id"], 1)
    resumed = LineBuffer(14, 2)
    resumed.feed(b"id\n")
    parsed = resumed.take()
    assert parsed is not None
    assert [item.session_id for item in parsed.items] == ["id"]


@pytest.mark.parametrize(
    ("line", "session_id"),
    [
        (b'{"id": "evt_1", "session_id": "s1", "type": "session.created"}', "s1"),
        (b'{"id": "null", "sessionId": "s1", "clone": {"id": "c1"}}', "s1"),
        (b'{"id": "s1", "status": "running", "cloneIds": ["c1"], "owner": null}', "s1"),
    ],
)
def test_the_named_key_wins_over_a_bare_id(line: bytes, session_id: str) -> None:
    assert parse(line, 1) == NewItem(SessionId(session_id))


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        (b'{"id": "evt_1", "type": "session.created"}', "'type'"),
        (b'{"id": "evt_1", "Event": "created"}', "'Event'"),
        (b'{"id": "clone_1", "sessionKey": "s1"}', "'sessionKey'"),
        (b'{"id": "evt_1", "session": null}', "'session'"),
        (b'{"id": "evt_1", "data": {}}', "a nested object"),
        (b'{"id": "evt_1", "data": [[1, {"id": "s1"}]]}', "a nested object"),
    ],
)
def test_a_bare_id_of_something_else_is_refused(line: bytes, doubt: str) -> None:
    assert f"an id beside {doubt} may be that of something else" in reason(line)


@pytest.mark.parametrize("key", ["due_at", "dueAt", "expires_at", "expiresAt"])
def test_a_json_line_may_say_when(key: str) -> None:
    line = f'{{"sessionId": "s1", "{key}": "2030-01-01T13:00:00+01:00"}}'.encode()
    assert parse(line, 1) == NewItem(SessionId("s1"), NOON)


def test_keys_that_agree_are_fine() -> None:
    line = b'{"id":"s1","sessionId":"s1","dueAt":"2030-01-01T12:00:00Z","expiresAt":"2030-01-01T14:00:00+02:00"}'
    assert parse(line, 1) == NewItem(SessionId("s1"), NOON)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"a" * 129, "longer than 128 characters"),
        (b"a..b", "contains '..'"),
        (b"-s1", "does not begin with a letter or a digit"),
        (b"s1 s2", "character 3 is ' '"),
        (b"s1\0", "NUL"),
        (b"s\xff", "not valid UTF-8"),
        ("s\N{CYRILLIC SMALL LETTER A}".encode(), r"character 2 is '\u0430'"),
        (b"x" * 4097, "longer than 4096 bytes"),
        (b" " * 4095 + b"ok", "longer than 4096 bytes"),
        (b"#" * 4097, "longer than 4096 bytes"),
        (b'["s1"]', "character 1 is '['"),
        (b'{"session_id": "s1"', "not valid JSON"),
        (b'{"a":' * 800, "JSON"),
        (b"{}", "without session_id"),
        (b'{"session": {"id": "s1"}}', "without session_id"),
        (b'{"session_id": null, "id": "s1"}', "session_id is null"),
        (b'{"session_id": 5}', "session_id is not a string"),
        (b'{"session_id": null}', "session_id is null"),
        (b'{"session_id": ""}', "empty"),
        (b'{"session_id": "a\\u0000"}', r"character 2 is '\x00'"),
        (b'{"session_id": "a", "session_id": "b"}', "two different session IDs"),
        (b'{"sessionId": "a", "session_id": "b"}', "two different session IDs"),
        (b'{"id":"a","dueAt":"2030-01-01T12:00:00Z","expiresAt":"2030-01-01T12:00:01Z"}', "two different due times"),
        (b'{"id":"a","due_at":null}', "due_at is null"),
        (b'{"id":"a","due_at":1893499200}', "due_at is not a string"),
        (b'{"id":"a","due_at":"2030-01-01T12:00:00"}', "due_at: '2030-01-01T12:00:00' is not a time with a zone"),
        (b'{"id":"a","due_at":"0001-01-01T00:00:00Z"}', "before 1970"),
        (b'{"id":"a","due_at":"2030-02-30T12:00:00Z"}', "does not exist"),
        (b'{"id":"a","x":{"due_at":"2030-01-01T12:00:00Z"}} b', "not valid JSON"),
    ],
)
def test_anything_else_is_invalid_and_says_why(line: bytes, why: str) -> None:
    assert why in reason(line)


def test_a_number_of_thousands_of_digits_in_an_entry_is_refused_in_our_words() -> None:
    refused = parse_entry(b'{"session_id":"s1","n":%s}' % (b"9" * 6000), 2)
    assert isinstance(refused, InvalidLine)
    assert refused.reason == "not usable JSON: a number in it has too many digits"


def test_keys_of_inner_objects_mean_nothing() -> None:
    assert parse(b'{"session_id":"a","clone":{"id":"b","due_at":5}}', 1) == NewItem(SessionId("a"))


def test_a_token_among_the_ids_is_neither_taken_nor_shown() -> None:
    line = parse(b"archal_ws_s3cr3t", 7)
    assert isinstance(line, InvalidLine)
    assert "token" in line.reason
    assert "s3cr3t" not in line.text + line.reason


def test_the_text_of_an_invalid_line_holds_no_token() -> None:
    found = parse(b"x" * 70 + b" ARCHAL_TOKEN=archal_ws_verysecret", 1)
    assert isinstance(found, InvalidLine)
    assert "verys" not in found.text
