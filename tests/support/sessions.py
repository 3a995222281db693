"""Sessions of the stand-in for sweeps, and which of them were sent a DELETE."""

from __future__ import annotations

import time
from typing import Any

from reaper.sandbox.sessions import Session
from tests.support.sandbox import RunningSandbox

H = 3600.0


def live(count: int, name: str = "live", **more: Any) -> list[Session]:
    now = time.time()
    return [Session(f"env_{name}{n:04d}", created_at=now - H, expires_at=now + H, **more) for n in range(count)]


def ids(sessions: list[Session]) -> set[str]:
    return {session.session_id for session in sessions}


def sent(sandbox: RunningSandbox) -> set[str]:
    return set(sandbox.do(lambda s: dict(s.sends)))
