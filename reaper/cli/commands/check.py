"""`reaper check`: configuration, token, address, queue and clock, one line each. Sends no DELETE."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from reaper.cli.context import no_ledger_yet, open_reading, open_writing, opened
from reaper.cli.output import emit_json, emit_wrapped
from reaper.core.account import KEY, Account, AccountUnknown, account_of, compare, read_account
from reaper.core.classify import (
    Broken,
    Foreign,
    OtherAccount,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    classify_read,
)
from reaper.core.errors import Exit, ReaperError
from reaper.core.model import Answered, Failed, Reply
from reaper.settings.load import Loaded

SKEW_S = 30.0
"""A clock that differs more from the server's fails the check: due times are read on this machine's clock."""


@dataclass(frozen=True, slots=True)
class Line:
    """The result of one check: its subject, whether it is well, and the fact or the remedy."""

    subject: str
    ok: bool
    text: str
    warned: bool = False
    """It works, but something is at risk."""

    @property
    def word(self) -> str:
        return "warn" if self.warned else "ok" if self.ok else "FAIL"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb="check")
    parser.add_argument(
        "--accept-account",
        action="store_true",
        help="pin the queue to the account of this token; the account pinned before no longer counts",
    )


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    where = settings.config_path or "no file; defaults and environment"
    lines = [Line("configuration", True, str(where))]
    lines += await _api_lines(settings, accept=args.accept_account)
    try:
        if no_ledger_yet(settings):
            lines.append(Line("queue", True, "there is no ledger yet; the first add, once or run creates it"))
        else:
            async with opened(settings) as found:
                stats = await found.queue.stats()
                risks = [Line("queue", True, warning, warned=True) for warning in found.warnings]
            words = f"{stats.ready + stats.delayed} waiting, {stats.dead} dead"
            if stats.imbalance:
                words += f"; {stats.imbalance} accepted and not accounted for; see: reaper audit"
            lines += [Line("queue", stats.imbalance == 0, words), *risks]
    except ReaperError as error:
        lines.append(Line("queue", False, str(error)))
    if args.json:
        emit_json({"ok": all(line.ok for line in lines), "lines": [_as_json(line) for line in lines]})
    else:
        for line in lines:
            emit_wrapped(f"{line.word:<4}  {line.subject:<14} {line.text}", " " * 21)
    return Exit.OK if all(line.ok for line in lines) else Exit.INTERNAL


def _as_json(line: Line) -> dict[str, object]:
    warned = {"warned": True} if line.warned else {}
    return {"subject": line.subject, "ok": line.ok, "text": line.text, **warned}


async def _api_lines(settings: Loaded, *, accept: bool) -> list[Line]:
    from reaper.app.startup import credentials_of
    from reaper.app.wiring import open_api

    try:
        credentials = credentials_of(settings.settings)
        async with open_api(settings.settings, credentials) as connection:
            reply = await connection.client.list_sessions()
            whose = account_of(await connection.client.whoami()) if isinstance(classify_read(reply), Proven) else None
        account = [] if whose is None else [await _account_line(settings, whose, accept=accept)]
    except ReaperError as error:
        return [Line("token", False, str(error))]
    url = settings.settings.api.base_url
    match classify_read(reply):
        case Proven():
            lines = [Line("token", True, "accepted"), Line("api", True, f"{url} answers with a list of sessions")]
        case Unauthorized(generation=None):
            missing = credentials.current.missing_reason or "there is none"
            return [Line("token", False, f"{missing}; write one there: reaper reads it again when it changes")]
        case Unauthorized():
            return [
                Line("token", False, f"{url} refused it (401): it is wrong, revoked or expired; {_renew(settings)}")
            ]
        case verdict:
            return [Line("api", False, _words(url, verdict, reply))]
    return [*lines, *account, *_clock_lines(reply)]


def _renew(settings: Loaded) -> str:
    file = settings.settings.api.token_file
    return f"write a new one into {file}" if file else "set ARCHAL_TOKEN to a new one"


async def _account_line(settings: Loaded, whose: Account | AccountUnknown | ReadVerdict, *, accept: bool) -> Line:
    """Compare the token's account with the queue's; with `accept` pin it."""
    if not isinstance(whose, Account | AccountUnknown):
        return Line("account", False, "the API did not answer GET /auth/me: try again")
    account = whose.shown if isinstance(whose, Account) else whose.reason
    if accept:
        async with open_writing(settings) as queue:
            text = await queue.read_value(KEY)
            new = whose.to_text() if isinstance(whose, Account) else None
            if not await queue.compare_and_set(KEY, new, was=text):
                return Line("account", False, "another process changed it just now: try again")
        return Line("account", True, f"accepted: {account}")
    if no_ledger_yet(settings):
        return Line("account", True, f"{account}; pinned at the first run")
    async with open_reading(settings) as queue:
        pinned = read_account(await queue.read_value(KEY))
    match compare(Proven(), whose, pinned):
        case OtherAccount(pinned=before, found=found):
            fault = f"the token belongs to {found}, but the queue was filled for {before}: reaper stops nothing"
            return Line("account", False, f"{fault}. If the new account is right: reaper check --accept-account")
        case Proven():
            return Line("account", True, account if pinned else f"{account}; none is pinned yet")


def _words(url: str, verdict: ReadVerdict, reply: Reply) -> str:
    match verdict:
        case Foreign(status=status):
            return f"{url}/api/sessions answered {status}, not a list of sessions: check api.base_url"
        case ServerFault(status=status):
            return f"{url} answered {status}: the API is down or overloaded; nothing is lost; try again later"
        case Throttled():
            return f"{url} answered 429: too many requests just now; try again later"
        case Broken() | Unsent():
            why = reply.error if isinstance(reply, Failed) else "no answer"
            return f"{url}: {why}; check api.base_url, and whether this machine can reach it (api.proxy, api.ca_file)"
        case OtherAccount(pinned=pinned, found=found):
            return f"the token belongs to {found}, but the queue was filled for {pinned}; reaper check --accept-account"
        case Proven() | Unauthorized():
            return "ok"


def _clock_lines(reply: Reply) -> list[Line]:
    if not isinstance(reply, Answered) or reply.date is None:
        return []
    try:
        skew_s = time.time() - parsedate_to_datetime(reply.date).timestamp()
    except (ValueError, TypeError):
        return []
    if abs(skew_s) <= SKEW_S:
        return [Line("clock", True, "agrees with the server's")]
    side = "ahead of" if skew_s > 0 else "behind"
    return [Line("clock", False, f"{abs(skew_s):.0f} s {side} the server's: set this machine's clock")]
