"""The one checker: what the producer knows, what the server did and what the ledger says must agree.

A scenario collects an `Evidence`, `prove` holds it against seven rules and fails with everything that is wrong:

    lost        what was accepted is settled or open, and nothing else is in the books
    doubled     a round has one outcome, and the books add up
    dishonest   an outcome has the server's word, given before it; `exhausted` has its charged attempts
    unbounded   DELETEs in flight, DELETEs after a final answer, sends for each ID
    leaking     descriptors, memory and threads of the daemon at the end, against its start
    telling     the token in an output, a log or a file
    late        what had to be done in time
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reaper.sandbox.recorder import Delete

Row = Mapping[str, Any]
CLOCK_S = 0.005
"""`settled_at` is printed in milliseconds."""
VANISHED = "sends with no recorded answer"


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a process holds: open descriptors, resident bytes, threads."""

    fds: int
    rss_bytes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a scenario allows. None: not judged there."""

    in_flight: int | None = None
    repeats: int = 0
    """DELETEs of an ID that the server had answered finally; each kill can cause as many as were in flight."""
    sends_per_id: float | None = None
    max_attempts: int = 16
    more_fds: int = 4
    more_bytes: int = 16 << 20
    more_threads: int = 2
    same_clock: bool = True
    """Whether the reaper's clock is the server's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end of a scenario."""

    accepted: Collection[str]
    """IDs that the producer knows as accepted."""
    deletes: Sequence[Delete]
    rows: Sequence[Row]
    """`outcomes --json`."""
    status: Row
    audit: Row
    offered: Collection[str] = ()
    """IDs that may have come in unreported: their producer was killed."""
    settled: bool = True
    """Whether nothing may be open any more."""
    events: Sequence[Row] = ()
    """Log events of all reapers."""
    texts: Mapping[str, bytes] = field(default_factory=dict)
    secrets: Sequence[bytes] = ()
    peak_in_flight: int = 0
    gauges: tuple[Gauge, Gauge] | None = None
    took: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What had to be in time: seconds it took, seconds it may take."""


def lost(found: Evidence, bounds: Bounds) -> Iterator[str]:
    settled = {row["session_id"] for row in found.rows}
    reported, known = set(found.accepted), set(found.accepted) | set(found.offered)
    left = sum(found.status[name] for name in ("ready", "delayed", "in_flight"))
    if strange := settled - known:
        yield f"{len(strange)} settled that nobody gave: {sample(strange)}"
    missing = reported - settled
    if len(missing) > left or (found.settled and missing):
        yield f"{len(missing)} accepted and neither settled nor, with {left} open, waiting: {sample(missing)}"
    if found.settled and left:
        yield f"{left} are open at the end"
    if not len(reported) <= len(settled) + left <= len(known):
        yield f"{len(reported)} are reported, {len(known)} given, and {len(settled)} + {left} are in the books"
    if strange := {delete.session_id or delete.path for delete in found.deletes} - known:
        yield f"{len(strange)} IDs were sent that nobody gave: {sample(strange)}"


def doubled(found: Evidence, bounds: Bounds) -> Iterator[str]:
    rows = Counter(row["session_id"] for row in found.rows)
    if twice := {one for one, number in rows.items() if number > 1}:
        yield f"{len(twice)} IDs have two outcomes: {sample(twice)}"
    reported = Counter(event["session_id"] for event in found.events if event["event"] == "session.settled")
    if twice := {one for one, number in reported.items() if number > 1}:
        yield f"{len(twice)} IDs were settled twice: {sample(twice)}"
    if not found.audit["balanced"]:
        yield f"the books do not balance: {[line for line in found.audit['lines'] if not line['balanced']]}"
    kept = Counter(row["outcome"] for row in found.rows)
    if counted := {name: n for name, n in found.audit["settled"].items() if n != kept.get(name, 0)}:
        yield f"the audit counts {counted}, the rows say {dict(kept)}"


def dishonest(found: Evidence, bounds: Bounds) -> Iterator[str]:
    answers: dict[str, list[tuple[int | None, Delete]]] = {}
    for delete in found.deletes:
        answers.setdefault(delete.session_id or "", []).append((said(delete), delete))
    for row in found.rows:
        heard = answers.get(row["session_id"], [])
        name, outcome = row["session_id"], row["outcome"]
        if outcome == "exhausted":
            vanished = VANISHED in row.get("detail", "")
            if not vanished and row["attempts"] < bounds.max_attempts:
                yield f"{name} is exhausted after {row['attempts']} charged attempts of {bounds.max_attempts}"
            if not vanished and row["attempts"] > (failed := sum(not is_final(status) for status, _ in heard)):
                yield f"{name} was charged {row['attempts']} attempts, and {failed} failed"
        elif outcome in WORDS:
            words = [delete for status, delete in heard if status == row["status"] and WORDS[outcome](status)]
            if not words:
                yield f"{name} is {outcome} ({row['status']}) and was answered {[status for status, _ in heard]}"
            elif bounds.same_clock and instant(row["settled_at"]) < min(delete.at for delete in words) - CLOCK_S:
                yield f"{name} is {outcome} before the server said so"


def unbounded(found: Evidence, bounds: Bounds) -> Iterator[str]:
    if bounds.in_flight is not None and found.peak_in_flight > bounds.in_flight:
        yield f"{found.peak_in_flight} were in flight at once, {bounds.in_flight} are allowed"
    final: set[str | None] = set()
    repeats = 0
    for delete in found.deletes:
        repeats += delete.session_id in final
        if is_final(said(delete)):
            final.add(delete.session_id)
    if repeats > bounds.repeats:
        yield f"{repeats} DELETEs after a final answer, {bounds.repeats} are allowed"
    ids = len({delete.session_id for delete in found.deletes})
    if bounds.sends_per_id is not None and len(found.deletes) > bounds.sends_per_id * ids:
        yield f"{len(found.deletes)} DELETEs for {ids} IDs, {bounds.sends_per_id:g} each are allowed"


def leaking(found: Evidence, bounds: Bounds) -> Iterator[str]:
    if found.gauges is None:
        return
    before, after = found.gauges
    if after.fds > before.fds + bounds.more_fds:
        yield f"descriptors grew from {before.fds} to {after.fds}"
    if after.rss_bytes > before.rss_bytes + bounds.more_bytes:
        yield f"memory grew from {before.rss_bytes >> 20} to {after.rss_bytes >> 20} MiB"
    if after.threads > before.threads + bounds.more_threads:
        yield f"threads grew from {before.threads} to {after.threads}"


def telling(found: Evidence, bounds: Bounds) -> Iterator[str]:
    for name, text in found.texts.items():
        if any(secret in text for secret in found.secrets):
            yield f"the token is in {name}"


def late(found: Evidence, bounds: Bounds) -> Iterator[str]:
    for what, (took_s, most_s) in found.took.items():
        if took_s > most_s:
            yield f"{what} took {took_s:.2f} s, {most_s:g} s are allowed"


Rule = Callable[[Evidence, Bounds], Iterator[str]]
RULES: tuple[Rule, ...] = (lost, doubled, dishonest, unbounded, leaking, telling, late)


def check(found: Evidence, bounds: Bounds) -> list[str]:
    """Return everything that is wrong, each with the name of its rule."""
    return [f"{rule.__name__}: {fault}" for rule in RULES for fault in rule(found, bounds)]


def prove(found: Evidence, bounds: Bounds) -> None:
    """Fail with everything that is wrong."""
    faults = check(found, bounds)
    assert not faults, "\n".join(faults[:20])


def said(delete: Delete) -> int | None:
    """Return the status that the client may have heard: a drip that was fast enough is an answer too."""
    if not delete.delivered:
        return None
    if delete.fault == "drip":
        return 204 if delete.executed else 404
    return delete.status


def is_final(status: int | None) -> bool:
    return status is not None and (200 <= status < 300 or status in (400, 403, 404, 409, 410, 422))


WORDS: Mapping[str, Callable[[int | None], bool]] = {
    "stopped": lambda status: status is not None and 200 <= status < 300,
    "already_gone": lambda status: status in (404, 410),
    "forbidden": lambda status: status == 403,
    "rejected": lambda status: status is not None and 400 <= status < 500 and status not in (401, 403, 404, 410, 429),
}


def sample(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:3])


def instant(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
