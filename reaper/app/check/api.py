"""The lines about the API: the first read of `run`, judged by a gate like that of `run`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from reaper.api.credentials import Credentials
from reaper.app.check.line import Hindrance, Line
from reaper.app.check.target import Pinned
from reaper.app.wiring import new_gate, new_identity, open_api
from reaper.core.account import Account, AccountUnknown
from reaper.core.classify import (
    Broken,
    Final,
    Foreign,
    OtherAccount,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    classify,
    classify_read,
)
from reaper.core.model import Answered, Failed, Fault, Reply
from reaper.core.target import ACCEPT, CHECK_PROXY, OtherTarget
from reaper.core.urls import masked_url
from reaper.queues.base import ValuePort
from reaper.settings.schema import Settings

SKEW_S = 30.0
"""A clock that differs more from the server's is a warning: due times of a ledger are read on this machine's clock."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The reply to the read, None when nothing was sent, and what `run` makes of it."""

    reply: Reply | None
    verdict: ReadVerdict
    whose: Account | AccountUnknown | None
    hindrance: Hindrance | None


async def ask(settings: Settings, credentials: Credentials, queue: ValuePort) -> Asked:
    """Make the read that `run` makes before its first DELETE, and compare it with what the queue keeps; pin nothing.

    Where `api.verify` is false `run` makes none: there it shows whether the API answers, and that a key may not read
    is no fault. Raises QueueError, and ConfigError when no client can be made of the settings.
    """
    async with open_api(settings, credentials) as connection:
        identity = new_identity(connection, queue, may_pin=False, journal=_Silent())
        reply, verdict = await identity.read()
    if not settings.api.verify and reply is not None and isinstance(classify(reply), Final):
        verdict = Proven(credentials.generation)
    gate = new_gate(settings, credentials.generation)
    gate.observe_read(0.0, verdict, jitter=0.0)
    pauses = [pause.reason for pause in gate.pauses(0.0)]
    return Asked(reply, verdict, identity.found, Hindrance(pause=pauses[0]) if pauses else None)


def api_lines(settings: Settings, credentials: Credentials, asked: Asked) -> Iterator[Line]:
    """Yield the lines about the token, the API and the clock; none when nothing was sent to that address."""
    if asked.reply is None:
        return
    proxy = settings.api.proxy
    url = settings.api.base_url + (f" through the proxy {masked_url(proxy)}" if proxy else "")
    match classify_read(asked.reply):
        case Proven():
            yield Line("token", "accepted")
            yield Line("api", f"{url} answers with a list of sessions")
            yield from _clock_lines(asked.reply)
        case _ if asked.hindrance is None:
            yield Line("api", f"{url} answers; this key may not read, and need not: api.verify is false")
        case Unauthorized(generation=None):
            missing = credentials.current.missing_reason or "there is none"
            text = f"{missing}; write one there: reaper reads it again when it changes"
            yield Line("token", text, asked.hindrance)
        case Unauthorized():
            text = f"{url} refused it (401): it is mistyped, revoked or expired; {_renew(settings)}"
            yield Line("token", text, asked.hindrance)
        case verdict:
            yield Line("api", _words(url, verdict, asked.reply), asked.hindrance)


def account_lines(asked: Asked, pinned: Pinned) -> Iterator[Line]:
    """Yield the line about the token's account, if the list was read."""
    if asked.reply is None or not isinstance(classify_read(asked.reply), Proven):
        return
    match asked.verdict:
        case OtherAccount(pinned=before, found=found):
            fault = f"the token belongs to {found}, but the queue was filled for {before}: reaper stops nothing"
            yield Line("account", f"{fault}. If the new account is right: {ACCEPT}", asked.hindrance)
        case _ if asked.whose is None:
            yield Line("account", "the API did not answer GET /auth/me: try again", asked.hindrance)
        case _:
            shown = asked.whose.shown if isinstance(asked.whose, Account) else asked.whose.reason
            yield Line("account", f"{shown}{pinned.not_yet(kept=pinned.account is not None)}")


class _Silent:
    """Nothing is pinned, and what is unknown is in a line."""

    def target_pinned(self, address: str) -> None: ...

    def account_pinned(self, account: str) -> None: ...

    def account_unknown(self, why: str) -> None: ...


def _renew(settings: Settings) -> str:
    file = settings.api.token_file
    return f"write a new one into {file}" if file else "set ARCHAL_TOKEN to a new one"


def _words(url: str, verdict: ReadVerdict, reply: Reply) -> str:
    match verdict:
        case Foreign(unsent=True):
            why = reply.error if isinstance(reply, Failed) else verdict.shown
            return f"{url}: {why}; {CHECK_PROXY}"
        case Foreign():
            return f"{url}: GET /api/sessions answered {verdict.shown}, not a list of sessions: check api.base_url"
        case ServerFault(status=status):
            return f"{url} answered {status}: the API is down or overloaded; nothing is lost; try again later"
        case Throttled():
            return f"{url} answered 429: too many requests just now; try again later"
        case Broken() | Unsent():
            why = reply.error if isinstance(reply, Failed) else "no answer"
            return f"{url}: {why}; {_remedy(reply)}"
        case Proven() | Unauthorized() | OtherTarget() | OtherAccount():
            return "ok"


def _remedy(reply: Reply) -> str:
    if isinstance(reply, Failed) and reply.fault is Fault.TLS:
        return "check the certificate, api.base_url and api.ca_file"
    return "check api.base_url, and whether this machine can reach it (api.proxy, api.ca_file)"


def _clock_lines(reply: Reply) -> list[Line]:
    if not isinstance(reply, Answered) or reply.date is None:
        return []
    try:
        skew_s = time.time() - parsedate_to_datetime(reply.date).timestamp()
    except (ValueError, TypeError):
        return []
    if abs(skew_s) <= SKEW_S:
        return [Line("clock", "agrees with the server's")]
    side = "ahead of" if skew_s > 0 else "behind"
    return [Line("clock", f"{abs(skew_s):.0f} s {side} the server's: set this machine's clock", warned=True)]
