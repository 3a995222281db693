"""What `GET /api/sessions` can answer on purpose, other than the list.

half         the first half of the sessions
empty        none of them
duplicates   the first one twice
malformed    an entry that is no object
html         a page with status 200
cut          the list, but its end is missing
endless      entries without an end
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from reaper.sandbox.answers import Answer, page
from reaper.sandbox.faults import Behaviour, Delivery
from reaper.sandbox.sessions import Account


class ListFault(StrEnum):
    """One of them."""

    HALF = "half"
    EMPTY = "empty"
    DUPLICATES = "duplicates"
    MALFORMED = "malformed"
    HTML = "html"
    CUT = "cut"
    ENDLESS = "endless"


def behave(fault: ListFault, account: Account) -> Behaviour:
    """Return what a request for the list meets."""
    listed = account.fragments()
    delivery = Delivery.WHOLE
    match fault:
        case ListFault.HALF:
            body = bracket(listed[: len(listed) // 2])
        case ListFault.EMPTY:
            body = bracket([])
        case ListFault.DUPLICATES:
            body = bracket([*listed, *listed[:1]])
        case ListFault.MALFORMED:
            body = bracket([*listed, b'"env_1"'])
        case ListFault.HTML:
            return Behaviour(fault.value, answers=(page(200, "Welcome"),))
        case ListFault.CUT:
            body = bracket(listed)[:-2]
        case ListFault.ENDLESS:
            delivery, body = Delivery.ENDLESS, b'{"sessions":['
        case _:
            assert_never(fault)
    return Behaviour(fault.value, delivery, answers=(Answer(200, body),))


def bracket(fragments: list[bytes]) -> bytes:
    """Return the body of a list of these entries."""
    return b'{"sessions":[' + b",".join(fragments) + b"]}"
