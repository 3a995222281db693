"""The list of sessions is read with distrust: nothing raises, and no odd field passes for a sound one."""

import json
import tracemalloc
from dataclasses import replace
from itertools import product

import pytest

from reaper.core.classify import Proven, classify_read
from reaper.core.discovery.listing import (
    FAULTS_SHOWN,
    Listing,
    SessionSummary,
    Unreadable,
    ids_alive,
    parse_list,
    parse_session,
    parse_summary,
)
from reaper.core.json_list import AT_ONCE_BYTES
from reaper.core.model import Answered, SessionId

WHOLE = {
    "sessionId": "ses-01H",
    "status": "running",
    "cloneIds": ["github", "slack"],
    "endpoints": {},
    "apiBaseUrls": {},
    "createdAt": "2030-01-01T00:00:00Z",
    "expiresAt": "2030-01-01T01:00:00.500+01:00",
    "alive": True,
    "scenarioId": "scenario-1",
    "batchId": "batch-7",
    "somethingNew": [1],
}
AT = 1_893_456_000.0
BARE = SessionSummary(SessionId("ses-01H"))


def test_a_whole_summary_is_read() -> None:
    assert parse_summary(WHOLE) == SessionSummary(
        SessionId("ses-01H"),
        status="running",
        created_at=AT,
        expires_at=AT + 0.5,
        batch_id="batch-7",
        scenario_id="scenario-1",
        clone_ids=("github", "slack"),
        alive=True,
    )


def odd(*values: object) -> tuple[object, ...]:
    return values


def test_missing_and_null_are_the_same_and_not_odd() -> None:
    assert parse_summary({"sessionId": "ses-01H"}) == BARE
    assert parse_summary(dict.fromkeys(WHOLE) | {"sessionId": "ses-01H"}) == BARE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *product(("status", "batchId", "scenarioId"), odd(1, True, "", [], {})),
        *product(("cloneIds",), odd("github", {}, 3, ["github", None], [""], [["github"]])),
        *product(("createdAt", "expiresAt"), odd(AT, "", "soon", "2030-01-01", [], False)),
        ("expiresAt", "2030-01-01T00:00:00"),
        ("expiresAt", "1960-01-01T00:00:00Z"),
        ("createdAt", "2030-02-30T00:00:00Z"),
        *product(("alive",), odd(0, 1, "true", [])),
    ],
)
def test_a_field_of_another_type_is_odd_and_has_no_value(name: str, value: object) -> None:
    found = parse_summary(WHOLE | {name: value})
    sound = parse_summary({key: field for key, field in WHOLE.items() if key != name})
    assert isinstance(found, SessionSummary)
    assert isinstance(sound, SessionSummary)
    assert found.odd == (name,)
    assert found == replace(sound, odd=(name,))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "object"),
        ([], "object"),
        ("ses-1", "object"),
        ({}, "string"),
        ({"sessionId": 5}, "string"),
        ({"sessionId": ""}, "empty"),
        ({"sessionId": "a/../b"}, "character 2"),
        ({"sessionId": "x" * 129}, "longer"),
        ({"sessionId": "archal_ws_secret"}, "token"),
    ],
)
def test_an_entry_without_a_well_formed_id_is_unreadable(value: object, why: str) -> None:
    found = parse_summary(value)
    assert isinstance(found, Unreadable)
    assert why in found.reason
    assert found.reason.isprintable()
    assert "secret" not in found.reason


def test_a_list_is_read_and_what_is_malformed_is_counted_and_described() -> None:
    body = json.dumps({"sessions": [WHOLE, "x", WHOLE, {"sessionId": "b c"}, {"sessionId": "ses-2"}], "total": 1})
    found = parse_list(body.encode())
    assert isinstance(found, Listing)
    assert [session.session_id for session in found.sessions] == ["ses-01H", "ses-2"]
    assert found.sessions[0].odd == ()
    assert found.malformed == 3
    assert found.faults[:2] == ("entry 2: it is not a JSON object", "entry 3: ses-01H is listed twice")
    assert found.faults[2].startswith("entry 4: its sessionId is not well-formed: character 2")
    assert parse_list(b'{"sessions":[]}') == Listing(())


def test_however_many_are_malformed_a_few_are_described() -> None:
    found = parse_list(json.dumps({"sessions": [1] * 1000}).encode())
    assert isinstance(found, Listing)
    assert (found.malformed, len(found.faults)) == (1000, FAULTS_SHOWN) == (1000, 5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome</html>",
        b"[]",
        b"null",
        b'{"sessions": {}}',
        b'{"sessions": null}',
        b'{"error": "x"}',
        b'{"sessions": [{"sessionId": "env_1"}, ',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"sessions": [' + b"9" * 5000 + b"]}",
    ],
)
def test_a_body_without_a_list_is_unreadable(body: bytes) -> None:
    found = parse_list(body)
    assert isinstance(found, Unreadable)
    assert found.reason.isprintable()
    assert len(found.reason) < 200


def test_the_body_of_another_session_is_unreadable() -> None:
    body = json.dumps(WHOLE).encode()
    assert parse_session(body, SessionId("ses-01H")) == parse_summary(WHOLE)
    assert parse_session(body, SessionId("ses-2")) == Unreadable("asked for ses-2, the API answered with ses-01H")
    assert isinstance(parse_session(b"<html>", SessionId("ses-2")), Unreadable)


@pytest.mark.parametrize("word", ["null", "None", "undefined"])
def test_a_session_without_a_name_is_malformed_and_the_others_are_read(word: str) -> None:
    listing = parse_list(json.dumps({"sessions": [{"sessionId": word}, {"sessionId": "s1"}]}).encode())
    assert isinstance(listing, Listing)
    assert ([one.session_id for one in listing.sessions], listing.malformed) == (["s1"], 1)


def test_a_long_list_is_not_decoded_at_once() -> None:
    """What a list holds beside the fields that count would be ten times its bytes as Python objects."""
    rest = ",".join('{"a":[1,2.5,"x"]}' for _ in range(100))
    body = b'{"sessions":[%b]}' % ",".join(f'{{"sessionId":"s{i}","rest":[{rest}]}}' for i in range(1000)).encode()
    tracemalloc.start()
    found = parse_list(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, Listing)
    assert len(found.sessions) == 1000
    assert peak < len(body)


LIVE = '{"sessionId":"s1","status":"running"}'


@pytest.mark.parametrize(
    "body",
    [
        LIVE.replace("}", ',"load":NaN}').join(['{"sessions":[', "]}"]).encode(),
        LIVE.join(['{"sessions":[', '],"ratio":-Infinity}']).encode(),
        LIVE.join(['{"sessions":[],"sessions":[', "]}"]).encode(),
        LIVE.join(['{"sessions":[', "]}"]).encode("utf-16"),
        LIVE.join(['\ufeff{"sessions":[', "]}"]).encode(),
        LIVE.join(['{"sessions":[', f",{'[' * 600}{']' * 600}]}}"]).encode(),
    ],
    ids=["NaN", "Infinity", "a key twice", "UTF-16", "BOM", "deep"],
)
def test_a_list_that_proves_the_api_is_compared_too(body: bytes) -> None:
    assert isinstance(classify_read(Answered(200, body, 0.1)), Proven)
    assert ids_alive(body) == frozenset({"s1"})
    listing = parse_list(body)
    assert isinstance(listing, Listing)
    assert [one.session_id for one in listing.sessions] == ["s1"]


@pytest.mark.parametrize("size", [100_000, AT_ONCE_BYTES + 1])
def test_a_session_is_read_however_long_what_else_is_said_of_it(size: int) -> None:
    """A session with much evidence was not seen alive, so that a gateway's 404 made it gone for good."""
    evidence = {"batchId": "another", "status": "failed", "text": "y" * size}
    body = json.dumps(
        {"sessions": [{"evidence": evidence, **WHOLE, "more": [evidence]}, "z" * size, [1] * size]}
    ).encode()
    assert ids_alive(body) == frozenset({"ses-01H"})
    assert parse_list(body) == Listing(
        (parse_summary(WHOLE),),  # type: ignore[arg-type]
        2,
        ("entry 2: it is not a JSON object", "entry 3: it is not a JSON object"),
    )


def test_of_a_very_long_entry_a_field_that_is_too_long_cannot_be_read() -> None:
    entry = {"sessionId": "s1", "status": "running", "batchId": "b" * 100_000}
    blank = f'{{"sessions":[{{{" " * 100_000}}}]}}'
    found = parse_list(json.dumps({"sessions": [entry]}).encode())
    assert isinstance(found, Listing)
    assert [(one.session_id, one.batch_id, one.odd) for one in found.sessions] == [("s1", None, ("batchId",))]
    assert parse_list(blank.encode()) == Listing((), 1, ("entry 1: it has no sessionId that is a string",))


@pytest.mark.parametrize(
    ("fill", "rest"), [(0, ""), (AT_ONCE_BYTES, ""), (0, ',"load":NaN')], ids=["short", "long", "NaN"]
)
@pytest.mark.parametrize(
    ("paging", "named"),
    [
        ('"nextCursor":"c2"', "nextCursor"),
        ('"has_more":true', "has_more"),
        ('"next":{"href":"/api/sessions?page=2"}', "next"),
        ('"pagination":{"total":9,"next_page":2}', "pagination.next_page"),
        ('"_links":{"self":"/api/sessions","next":"/api/sessions?page=2"}', "_links.next"),
    ],
)
def test_a_list_that_goes_on_on_another_page_is_not_whole(paging: str, named: str, fill: int, rest: str) -> None:
    body = f'{{"text":"{"x" * fill}",{paging},"sessions":[{LIVE}]{rest}}}'.encode()
    assert isinstance(classify_read(Answered(200, body, 0.1)), Proven), "it is the API all the same"
    assert ids_alive(body) is None
    assert parse_list(body) == Unreadable(
        f"the list goes on on another page ('{named}'), and reaper reads one page only"
    )


@pytest.mark.parametrize(
    "paging",
    [
        '"nextCursor":null,"has_more":false,"next":"","nextPage":0',
        '"pagination":{"total":1,"next":null}',
        '"page":1,"links":["next"],"meta":{"inner":{"next":"c2"}}',
        '"paging":' + '{"paging":' * 400 + "1" + "}" * 400,
    ],
)
def test_the_last_page_is_a_whole_list(paging: str) -> None:
    body = f'{{{paging},"sessions":[{LIVE}]}}'.encode()
    assert ids_alive(body) == frozenset({"s1"})
