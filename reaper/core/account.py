"""Whose sessions these are: what `GET /auth/me` tells (SPEC 7), and the account that a queue is filled for. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from reaper.core.classify import Final, Foreign, OtherAccount, Proven, ReadVerdict, Unauthorized, classify
from reaper.core.model import Answered, Reply
from reaper.core.text import sanitize

NOTE = "account"
"""The note of the queue that names its account."""
UNKNOWN = "an account that is not told"


@dataclass(frozen=True, slots=True)
class Account:
    """An account; `email` is for people only, the ID decides."""

    user_id: str
    email: str | None = None

    @property
    def shown(self) -> str:
        """Name it for people."""
        return f"{sanitize(self.user_id)} ({sanitize(self.email)})" if self.email else sanitize(self.user_id)

    def to_text(self) -> str:
        """Return it as JSON, for the note."""
        return json.dumps({"user_id": self.user_id, "email": self.email})


@dataclass(frozen=True, slots=True)
class AccountUnknown:
    """The API does not say whose token it is; many keys may not ask."""

    reason: str


def account_of(reply: Reply) -> Account | AccountUnknown | ReadVerdict:
    """Return what the reply to `GET /auth/me` tells; a verdict when the API could not be asked now."""
    if isinstance(reply, Answered) and 200 <= reply.status < 300:
        return read_account(reply.body.decode("utf-8", "replace")) or AccountUnknown("/auth/me tells no userId")
    verdict = classify(reply)
    if isinstance(verdict, Final | Foreign) or (isinstance(verdict, Unauthorized) and verdict.generation is not None):
        # The list was just read with this token: so it is good, and this page is not for it, or not there.
        return AccountUnknown(
            f"/auth/me answered {reply.status}" if isinstance(reply, Answered) else "/auth/me did not answer"
        )
    return verdict


def read_account(text: str | None) -> Account | None:
    """Read what the API or `to_text` wrote; None when no account is told."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    user_id, email = value.get("userId", value.get("user_id")), value.get("email")
    if not isinstance(user_id, str) or not user_id:
        return None
    return Account(user_id[:200], email[:200] if isinstance(email, str) and email else None)


def compare(proven: Proven, found: Account | AccountUnknown, pinned: Account | None) -> Proven | OtherAccount:
    """Return what a proven read comes to when its account is held against the queue's."""
    if pinned is None or (isinstance(found, Account) and found.user_id == pinned.user_id):
        return proven
    name = found.shown if isinstance(found, Account) else f"{UNKNOWN}: {found.reason}"
    return OtherAccount(pinned.shown, name, proven.generation)
