"""The account of a token, as `GET /auth/me` names it, and the account of a queue (docs/concepts.md). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from reaper.core.classify import Final, Foreign, OtherAccount, Proven, ReadVerdict, Unauthorized, classify
from reaper.core.model import Answered, Reply
from reaper.core.text import MASK, json_value, sanitize, without_tokens

KEY = "account"
"""The key under which the queue keeps its account."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account. Two are the same when their IDs are; `email` is for people only."""

    user_id: str
    email: str | None = None

    @property
    def shown(self) -> str:
        """The account's name for people, safe to print."""
        return f"{sanitize(self.user_id)} ({sanitize(self.email)})" if self.email else sanitize(self.user_id)

    def to_text(self) -> str:
        """Return the account as JSON, as the queue keeps it."""
        return json.dumps({"user_id": self.user_id, "email": self.email})


@dataclass(frozen=True, slots=True)
class AccountUnknown:
    """The API does not name the account of the token: many keys may not read `/auth/me`."""

    reason: str


def account_of(reply: Reply) -> Account | AccountUnknown | ReadVerdict:
    """Return the account that the reply to `GET /auth/me` names; a verdict when the API could not answer now."""
    if isinstance(reply, Answered) and 200 <= reply.status < 300:
        return read_account(reply.body.decode("utf-8", "replace")) or AccountUnknown("/auth/me names no userId")
    verdict = classify(reply)
    if isinstance(verdict, Final | Foreign) or (isinstance(verdict, Unauthorized) and verdict.generation is not None):
        # The list was just read with this token, so the token is good: it may not read /auth/me, or there is none.
        return AccountUnknown(
            f"/auth/me answered {reply.status}" if isinstance(reply, Answered) else "/auth/me did not answer"
        )
    return verdict


def read_account(text: str | None) -> Account | None:
    """Read an account from JSON of the API or of `to_text`; None when it names none."""
    value = json_value(text or "")
    if not isinstance(value, dict):
        return None
    user_id, email = value.get("userId", value.get("user_id")), value.get("email")
    if not isinstance(user_id, str) or not user_id or MASK in without_tokens(user_id):  # it repeats the token
        return None
    return Account(user_id[:200], email[:200] if isinstance(email, str) and email else None)


def compare(proven: Proven, found: Account | AccountUnknown, pinned: Account | None) -> Proven | OtherAccount:
    """Return the verdict of a proven read after comparing its account with the queue's; None pins no account."""
    if pinned is None or (isinstance(found, Account) and found.user_id == pinned.user_id):
        return proven
    name = found.shown if isinstance(found, Account) else f"an unknown account: {found.reason}"
    return OtherAccount(pinned.shown, name, proven.generation, isinstance(found, Account))
