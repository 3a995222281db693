"""Acts on the stand-in API that runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable

from reaper.sandbox.server import Sandbox
from reaper.sandbox.sessions import Session
from reaper.sandbox.thread import RunningSandbox


def start_sessions(sandbox: RunningSandbox, sessions: Iterable[Session | str]) -> None:
    """Add live sessions, given whole or by their IDs."""
    some = [session if isinstance(session, Session) else Session(session) for session in sessions]

    def act(inside: Sandbox) -> None:
        for session in some:
            inside.sessions.put(session)

    sandbox.do(act)


def script(sandbox: RunningSandbox, session_ids: Iterable[str], *behaviours: str) -> None:
    """Script the answers to the next DELETEs of each ID, as `Sandbox.script` does."""
    some = list(session_ids)

    def act(inside: Sandbox) -> None:
        for session_id in some:
            inside.script(session_id, *behaviours)

    sandbox.do(act)
