"""A model of the API and of what stands before it: sessions that live and end, and answers as the plan spoils them.

It shares no code with reaper. Times are seconds since the beginning of the simulation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from random import Random

from tests.support.simulation.history import History
from tests.support.simulation.plan import LASTING, STUCK, Fault, PlannedSession
from tests.support.simulation.virtual_time import CLOCK, EPOCH

MADE_BEFORE_S, LISTED_BEFORE_S = 1200.0, 300.0
"""How long before it is asked for a session was made, and how long before that the list shows it: long lists cost."""


@dataclass(slots=True, eq=False)
class Hosted:
    """One session, as the API has it."""

    plan: PlannedSession
    ended_s: float | None = None
    ended_by: str = ""
    """`reaper` or `itself`."""
    protected_s: float | None = None
    """From when on an operator's file protects it."""
    is_early: bool = False
    """It is asked for before the time that its plan says, so that each list has to show it."""

    def is_alive(self, at_s: float) -> bool:
        own = self.plan.ends_s is not None and self.plan.ends_s <= at_s
        return self.plan.nature != "unknown" and self.ended_s is None and not own

    def was_alive(self, at_s: float) -> bool:
        """Return whether it was alive then, whatever became of it."""
        ended = (self.ended_s is not None and self.ended_s <= at_s) or (
            self.plan.ends_s is not None and self.plan.ends_s <= at_s
        )
        return self.plan.nature != "unknown" and not ended


@dataclass(slots=True)
class Answer:
    """One answer; `status` 0: none comes."""

    status: int
    body: bytes = b""
    headers: tuple[str, ...] = ()
    content_type: str = "application/json"
    silence_s: float = 0.0
    """How long nothing is to be sent: of a 429."""

    def encode(self, date_s: float) -> bytes:
        date = format_datetime(datetime.fromtimestamp(EPOCH + date_s, UTC), usegmt=True)
        lines = [f"HTTP/1.1 {self.status} X", f"Date: {date}", *self.headers]
        if self.status != 204:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if self.status == 204 else self.body)


@dataclass(slots=True)
class Told:
    """One answer to a DELETE, for the oracle."""

    at_s: float
    session_id: str
    process: str
    status: int
    was_applied: bool
    fault: str
    account: str


@dataclass(slots=True)
class ApiModel:
    """The account, its sessions, and the tokens that are valid now."""

    chance: Random
    history: History
    active: Callable[[str], Fault | None]
    """The fault of a kind that holds now."""
    met: Callable[[str], object]
    """Counts a fault that fell on a request."""
    sessions: dict[str, Hosted] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Valid tokens, with their accounts."""
    told: list[Told] = field(default_factory=list)
    lists_read: dict[str, list[float]] = field(default_factory=dict)
    """When each process was answered with a list."""
    has_read: set[str] = field(default_factory=set)
    """Processes that were answered with the account's list."""
    lists_failed: dict[str, list[float]] = field(default_factory=dict)
    """When each process was answered by a failure instead."""
    proofs: dict[str, list[float]] = field(default_factory=dict)
    """The same, and when a DELETE of its was answered by 204."""
    gone: dict[str, list[float]] = field(default_factory=dict)
    """When each process was answered 404 or 410, in order."""
    checks: dict[str, list[Told]] = field(default_factory=dict)
    """The answers to the checks before the DELETEs of each ID."""
    _told_of: dict[str, list[Told]] = field(default_factory=dict)

    def told_of(self, session_id: str) -> list[Told]:
        """Return the answers to DELETEs of one ID."""
        return self._told_of.get(session_id, [])

    def note(self, told: Told) -> None:
        """Keep an answer to a DELETE for the oracle."""
        self.told.append(told)
        self._told_of.setdefault(told.session_id, []).append(told)
        if told.status in (404, 410):
            self.gone.setdefault(told.process, []).append(told.at_s)
        if told.status == 204:
            self.proofs.setdefault(told.process, []).append(told.at_s)

    def answer(self, process: str, method: str, path: str, token: str) -> Answer:
        """Do what a request asks and return the answer as the client would get it from a perfect network."""
        answer, fault, applied = self._answer(method, path, token)
        if fault in LASTING:
            self.met(fault)
        if self.active("clock_of_api"):
            self.met("clock_of_api")
        session_id = path.rsplit("/", 1)[1]
        told = Told(CLOCK.elapsed_s, session_id, process, answer.status, applied, fault, self.tokens.get(token, ""))
        if method == "DELETE":
            self.note(told)
            self.history.add(session_id, f"{process}: DELETE {answer.status} {fault}", "deletes")
        else:
            if path == "/api/sessions" and answer.status == 200 and self.tokens.get(token) == "own":
                self.has_read.add(process)
            if path == "/api/sessions" and answer.status == 200:
                self.lists_read.setdefault(process, []).append(CLOCK.elapsed_s)
                self.proofs.setdefault(process, []).append(CLOCK.elapsed_s)
            elif path == "/api/sessions" and fault == "list_500":
                self.lists_failed.setdefault(process, []).append(CLOCK.elapsed_s)
            elif "/sessions/" in path:
                self.checks.setdefault(session_id, []).append(told)
            self.history.add(process, f"GET {path} {answer.status} {fault}", "reads")
        return answer

    def _answer(self, method: str, path: str, token: str) -> tuple[Answer, str, bool]:
        if self.active("unavailable"):
            return _error(503, "unavailable"), "unavailable", False
        if self.active("gateway_html"):
            return Answer(404, b"<html>nothing here</html>", content_type="text/html"), "gateway_html", False
        account = self.tokens.get(token)
        if account is None:
            return _error(401, "the token is not valid"), "token", False
        if path == "/auth/me":
            return _ok({"userId": account, "plan": "team"}), "", False
        if (fault := self.active("throttle")) and self.chance.random() < fault.share:
            after = self.chance.choice((1, 3, 20))
            answer = _error(429, "slow down", f"Retry-After: {after}")
            answer.silence_s = after
            return answer, "throttle", False
        if method == "GET":
            return (*self._read(path, account), False)
        return self._stop(path.rsplit("/", 1)[1], account)

    def _read(self, path: str, account: str) -> tuple[Answer, str]:
        if self.active("list_500"):
            return _error(500, "the list failed"), "list_500"
        seen_s = CLOCK.elapsed_s
        lag = self.active("list_lags")
        if lag is not None:
            seen_s -= lag.share
        if path != "/api/sessions":
            hosted = self.sessions.get(path.rsplit("/", 1)[1])
            if hosted is None or account != "own" or hosted.plan.nature == "unknown":
                return _error(404, "no such session"), ""
            return _ok(self._summary(hosted)), ""
        listed = [
            self._summary(one) for one in self.sessions.values() if account == "own" and self._is_listed(one, seen_s)
        ]
        answer = _ok({"sessions": listed})
        if self.active("list_cut"):
            answer.body = answer.body[: len(answer.body) // 2]
            return answer, "list_cut"
        return answer, "list_lags" if lag else ""

    def _is_listed(self, hosted: Hosted, seen_s: float) -> bool:
        if hosted.plan.nature in ("unknown", "forbidden"):
            return False
        begun = hosted.is_early or hosted.plan.asked_s - LISTED_BEFORE_S <= seen_s
        ended = hosted.ended_s is not None and hosted.ended_s <= seen_s
        return begun and not ended and not (hosted.plan.ends_s is not None and hosted.plan.ends_s <= seen_s)

    def _summary(self, hosted: Hosted) -> dict[str, object]:
        off = self.active("clock_of_api")
        shift = off.share if off else 0.0
        alive = hosted.is_alive(CLOCK.elapsed_s)
        made = hosted.plan.asked_s - MADE_BEFORE_S
        return {
            "sessionId": hosted.plan.session_id, "status": "running" if alive else "ended", "alive": alive,
            "cloneIds": ["github"], "endpoints": {}, "apiBaseUrls": {}, "createdAt": _rfc3339(made + shift),
            "expiresAt": _rfc3339(min(hosted.plan.expires_s, 86_400 * 30) + shift),
        }  # fmt: skip

    def _stop(self, session_id: str, account: str) -> tuple[Answer, str, bool]:
        if self.active("gateway_404"):
            return _error(404, "no route"), "gateway_404", False
        if (fault := self.active("one_replica_404")) and self.chance.random() < fault.share:
            return _error(404, "no such session"), "one_replica_404", False
        if self.active("refuse_all"):
            return _error(403, "writes are off"), "refuse_all", False
        for kind, status in (("bad_gateway", 502), ("internal", 500)):
            if (fault := self.active(kind)) and self.chance.random() < fault.share:
                return Answer(status, b""), kind, False
        hosted = self.sessions.get(session_id)
        if hosted is None or account != "own" or hosted.plan.nature == "unknown":
            return _error(404, "no such session"), "", False
        if hosted.plan.nature == "forbidden":
            return _error(403, "not yours"), "", False
        if hosted.plan.nature == "odd":
            return _error(400, "this one cannot be stopped"), "", False
        if not hosted.is_alive(CLOCK.elapsed_s):
            return _error(404, "no such session"), "", False
        if hosted.plan.nature == STUCK:
            return Answer(502, b""), "", False
        hosted.ended_s, hosted.ended_by = CLOCK.elapsed_s, "reaper"
        if (fault := self.active("bad_gateway_applied")) and self.chance.random() < fault.share:
            return Answer(502, b""), "bad_gateway_applied", True
        return Answer(204), "", True

    def date(self) -> float:
        """Return the API's own time."""
        off = self.active("clock_of_api")
        return CLOCK.elapsed_s + (off.share if off else 0.0)


def _ok(body: object) -> Answer:
    return Answer(200, json.dumps(body).encode())


def _error(status: int, message: str, *headers: str) -> Answer:
    return Answer(status, json.dumps({"error": message}).encode(), headers)


@cache
def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(EPOCH + at_s, UTC).isoformat()
