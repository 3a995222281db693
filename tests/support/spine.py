"""What the tests of whole runs share: sessions, their IDs, and how many DELETEs came."""

from __future__ import annotations

from reaper.sandbox.sessions import Session, generate
from tests.support.sandbox import RunningSandbox


def sessions(n: int, seed: int = 0) -> list[Session]:
    return list(generate(n, seed))


def ids_of(some: list[Session]) -> list[str]:
    return [session.session_id for session in some]


def deletes(sandbox: RunningSandbox) -> int:
    return sandbox.do(lambda s: s.counters.deletes)
