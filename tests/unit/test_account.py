"""The account of a token: read, compared with the account of the queue, and never guessed."""

from __future__ import annotations

import json

import pytest

from reaper.core.account import Account, AccountUnknown, account_of, compare, read_account
from reaper.core.classify import OtherAccount, Proven, ServerFault, Throttled, Unauthorized
from reaper.core.model import Answered

OWN = b'{"error": "no"}'
PROVEN = Proven(3)
MINE = Account("u-1", "a@example.com")


def answered(status: int, body: bytes = OWN) -> Answered:
    return Answered(status, body, 0.1)


def test_an_account_is_read_and_survives_as_text() -> None:
    body = answered(200, json.dumps({"userId": "u-1", "email": "a@example.com", "more": 1}).encode())
    assert account_of(body) == MINE
    assert read_account(MINE.to_text()) == MINE
    assert MINE.shown == "u-1 (a@example.com)"
    assert account_of(answered(200, b'{"userId": "u-2", "email": 5}')) == Account("u-2")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"userId": ""}', b'{"userId": 7}', b"[" * 20_000])
def test_a_body_without_an_account_leaves_the_account_unknown(body: bytes) -> None:
    assert isinstance(account_of(answered(200, body)), AccountUnknown)


@pytest.mark.parametrize("status", [300, 401, 403, 404, 302])
def test_a_refused_page_leaves_the_account_unknown(status: int) -> None:
    assert account_of(answered(status)) == AccountUnknown(f"/auth/me answered {status}")


def test_an_unavailable_api_proves_nothing() -> None:
    assert isinstance(account_of(answered(503)), ServerFault)
    assert isinstance(account_of(answered(429)), Throttled)


def test_another_account_is_recognised_by_its_id_alone() -> None:
    assert compare(PROVEN, Account("u-1", "new@example.com"), MINE) == PROVEN
    assert compare(PROVEN, Account("u-2", "a@example.com"), MINE) == OtherAccount(
        "u-1 (a@example.com)", "u-2 (a@example.com)", 3
    )


def test_an_unknown_account_is_not_the_pinned_one() -> None:
    found = compare(PROVEN, AccountUnknown("/auth/me answered 404"), MINE)
    assert isinstance(found, OtherAccount)
    assert "/auth/me answered 404" in found.found


def test_without_a_pinned_account_any_account_passes() -> None:
    for found in (Account("u-2"), AccountUnknown("why")):
        assert compare(PROVEN, found, None) == PROVEN


def test_a_refused_token_without_a_request_is_no_answer() -> None:
    assert not isinstance(account_of(answered(401)), Unauthorized), "the list was just read with this token"


def test_long_ids_and_addresses_are_cut() -> None:
    body = json.dumps({"userId": "u" * 500, "email": "e" * 500}).encode()
    assert account_of(answered(200, body)) == Account("u" * 200, "e" * 200)
