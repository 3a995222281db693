"""Faults of `GET /api/sessions`.

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
from reaper.sandbox.sessions import Account, list_body


class ListFault(StrEnum):
    """A fault of the list; see the head of this file."""

    HALF = "half"
    EMPTY = "empty"
    DUPLICATES = "duplicates"
    MALFORMED = "malformed"
    HTML = "html"
    CUT = "cut"
    ENDLESS = "endless"


def list_behaviour(fault: ListFault, account: Account) -> Behaviour:
    """Return the behaviour of a request for the list under this fault."""
    listed = account.fragments()
    delivery = Delivery.WHOLE
    match fault:
        case ListFault.HALF:
            body = list_body(listed[: len(listed) // 2])
        case ListFault.EMPTY:
            body = list_body([])
        case ListFault.DUPLICATES:
            body = list_body([*listed, *listed[:1]])
        case ListFault.MALFORMED:
            body = list_body([*listed, b'"env_1"'])
        case ListFault.HTML:
            return Behaviour(fault.value, answers=(page(200, "Welcome"),))
        case ListFault.CUT:
            body = list_body(listed)[:-2]
        case ListFault.ENDLESS:
            delivery, body = Delivery.ENDLESS, b'{"sessions":['
        case _:
            assert_never(fault)
    return Behaviour(fault.value, delivery, answers=(Answer(200, body),))
