"""A plan: everything that a seed decides. Plain data, so that a failing one can be made smaller and run again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong: from `at_s` on, for `for_s` (0: a moment). `share`: of the requests, or its measure.

    `target`: the process that it happens to, by number.
    """

    kind: str
    at_s: float
    for_s: float = 0.0
    share: float = 1.0
    target: int = 0
    armed: bool = False
    """It begins with the next DELETE from then on, or after `ARMED_S`: in flight is where most goes wrong."""

    @property
    def end_s(self) -> float:
        return self.at_s + self.for_s

    def holds(self, at_s: float) -> bool:
        return self.at_s <= at_s < self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """One session of the world, and how reaper comes to know of it.

    `way`: `file`, `spool`, `add`, or `list` (nobody asks for it; discovery may find it). `ends_s`: when it ends by
    itself. `due_after_s`: the due time that its producer gives. `nature`: see `natures`. `again_s`: it is asked for
    once more.
    """

    session_id: str
    way: str
    asked_s: float
    ends_s: float | None = None
    due_after_s: float | None = None
    nature: str = "own"
    expires_s: float = 1e9
    again_s: float | None = None


ARMED_S = 15.0
STRETCH_S = 600.0
"""How long after a burst trouble lasts at most: then little happens until the next one."""
ENGINES = ("memory", "ledger")
GUARDS = (3, 10, 10_000)
PACES = (1.0, 4.0, 4.0)
NATURES = ("own", "own", "own", "own", "own", "own", "own", "unknown", "forbidden", "odd", "protected")
"""`unknown`: the API does not know it. `forbidden`: 403. `odd`: the API refuses it by 400. `protected`: spared."""
STUCK = "stuck"
"""A nature of some plans only, because it makes pauses: its teardown fails each time, by 502."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole simulation."""

    seed: int
    engine: str
    reapers: int
    mode: str
    """`run`: daemons; `once`: runs that a timer begins."""
    hours: float
    concurrency: int
    adaptive: bool
    discovers: bool
    latency: float
    """How many times as long as usual each answer takes: the longer, the more is in flight when something happens."""
    sessions: tuple[PlannedSession, ...]
    faults: tuple[Fault, ...]
    max_per_sweep: int = 10_000
    """`guard.max_per_sweep`: a sweep that would stop more sessions is held for an operator."""
    pace: float = 1.0
    """How many times as long as usual reaper's tasks rest: the longer, the cheaper an hour, and the later they see."""

    rests: bool = False
    """Reaper's tasks rest longer where nothing happens: `rests.py`. Not in plans of before."""

    @property
    def bursts_s(self) -> tuple[float, ...]:
        """When many sessions come at once."""
        return bursts_of(self.hours)

    def without(self, *, faults: Sequence[Fault] = (), sessions: Sequence[PlannedSession] = ()) -> Plan:
        """Return the plan without some of its faults or sessions."""
        return replace(
            self,
            faults=tuple(one for one in self.faults if one not in faults),
            sessions=tuple(one for one in self.sessions if one not in sessions),
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        return Plan.from_raw(json.loads(text))

    @staticmethod
    def from_raw(raw: dict[str, Any]) -> Plan:
        """Return the plan of what its JSON reads as."""
        sessions = tuple(PlannedSession(**one) for one in raw.pop("sessions"))
        return Plan(**{**raw, "sessions": sessions, "faults": tuple(Fault(**one) for one in raw.pop("faults"))})


LASTING = {
    # the API and what stands before it
    "bad_gateway": (0.02, 0.9), "bad_gateway_applied": (0.02, 0.5), "unavailable": (1, 1), "internal": (0.05, 0.6),
    "throttle": (0.05, 1), "gateway_404": (1, 1), "gateway_html": (1, 1), "one_replica_404": (0.3, 0.7),
    "refuse_all": (1, 1), "list_500": (-4, 9), "list_lags": (5, 60), "list_cut": (1, 1), "slow": (1, 12),
    "clock_of_api": (-900, 900),
    # the network
    "refused": (0.2, 1), "black_hole": (0.2, 1), "lost_request": (0.02, 0.4), "lost_answer": (0.02, 0.4),
    "half_answer": (0.02, 0.3), "drip": (0.05, 0.5), "unasked": (0.05, 0.5), "closed_idle": (0.1, 1),
    # the queue
    "queue_away": (1, 1), "queue_lost_ack": (0.02, 0.5), "queue_slow": (0.05, 5),
    # the token
    "token_revoked": (1, 1), "token_of_another": (1, 1), "token_missing": (1, 1),
    # operators
    "operator_pause": (1, 1), "address_changed": (1, 1),
}  # fmt: skip
"""The faults that last, with the bounds of their share or measure."""
COMPANIONS = {
    "gateway_404": ("list_500",), "address_changed": ("queue_slow", "throttle"), "bad_gateway": ("cancel",),
    "internal": ("cancel",), "suspend": ("bad_gateway slow", "lost_answer slow", "slow"),
    "unavailable": ("queue_slow",), "token_rotated": ("suspend", "slow"), "queue_away": ("kill",),
    "queue_lost_ack": ("kill",), "throttle": ("queue_slow",), "term": ("slow",),
}  # fmt: skip
"""What comes together with a fault in two cases of five, one of these groups: each part alone is soon over."""
OUTLASTS_S = 60.0
"""How much longer than the fault its company lasts: what begins anew at its end, meets it."""
MEASURES = {
    "wall_forward": (30, 400, 4000, 90_000, 4e8), "wall_back": (30, 400, 4000, 90_000),
    "cancel": (60, 60, 60, 0.5), "postpone": (60, 0.5), "term": (0.3, 1.0), "file_rotated_twice": (1, 2, 3),
    "file_rewritten": (1, 12, 100),
}  # fmt: skip
"""Of sudden faults. Seconds: by which a clock is set, for which an operator waits until something is in flight (above
1), after which a SIGTERM comes again (below 1). Numbers: of more rotations, and of lines in a file that is written
anew (above 1)."""
HANGS_S = 1e6
"""A process that is stopped for so long hangs from its next send on: the first one, where there are others."""
SUDDEN = (
    "kill", "kill_at_commit", "term", "term_twice", "suspend", "suspend_host", "wall_forward", "wall_back",
    "token_rotated", "file_rotated", "file_rotated_twice", "file_rewritten", "file_truncated", "line_in_pieces",
    "reload", "cancel", "postpone", "make_due", "dead_retry", "again", "protect_more", "approve_hold", "discard_hold",
)  # fmt: skip
"""The faults and acts of a moment."""
KINDS = (*LASTING, *SUDDEN)


def bursts_of(hours: float) -> tuple[float, ...]:
    """Return when many sessions come at once: three times in two hours, and as often in less."""
    count = max(3, round(hours * 1.5))
    return tuple((0.1 + 0.75 * n / count) * hours * 3600 for n in range(count))


def plan_of(seed: int, hours: float = 2.0, kinds: Sequence[str] | None = None) -> Plan:
    """Return the plan of a seed. `kinds`: the faults to choose from; None: a swarm's choice, another with each seed."""
    chance = Random(f"plan/{seed}")
    engine = chance.choice(ENGINES)
    reapers = chance.choice((1, 2, 2, 3))
    mode = "run" if reapers > 1 else chance.choice(("run", "run", "once"))
    company = 0.0
    if kinds is None:
        kinds, company = _swarm(chance)
    length_s, bursts_s = hours * 3600, bursts_of(hours)
    count = int(chance.choice((20, 60, 150, 400)) * max(1.0, hours * 1.7))
    discovers = chance.random() < 0.4
    natures = _natures(chance)
    sessions = tuple(_session(chance, seed, n, length_s, bursts_s, mode, discovers, natures) for n in range(count))
    faults: list[Fault] = []

    def add(kind: str, at_s: float, for_s: float = 0.0) -> None:
        share, target = 1.0, chance.randrange(reapers)
        if kind in LASTING:
            for_s = for_s or chance.choice((2, 10, 45, 200, 900)) * chance.uniform(0.5, 1.5)
            share = chance.uniform(*LASTING[kind])
        elif kind in ("suspend", "suspend_host"):
            # Half of them end as the leases of what was in flight do, after 30 s.
            for_s = chance.choice(
                (*(chance.uniform(29, 34) for _ in range(3)), *(n * chance.uniform(0.5, 1.5) for n in (3, 40, 300)))
            )
            if kind == "suspend" and reapers > 1 and chance.random() < 0.2:
                for_s, target = HANGS_S, 0
        if kind in MEASURES:
            share = chance.choice(MEASURES[kind])
            share *= chance.uniform(0.5, 1.5) if kind.startswith("wall_") else 1
        armed = chance.random() < 0.4
        faults.append(Fault(kind, round(at_s, 3), round(for_s, 3), round(share, 4), target, armed))

    for kind in kinds:
        for _ in range(round(chance.choice((1, 2, 4, 6)) * max(1.0, hours / 2))):
            where, burst_s = chance.random(), chance.choice(bursts_s)
            lasting = [fault for fault in faults if fault.kind in LASTING]
            if where < 0.2 and lasting:  # in the midst of other trouble, be it of the queue or of the API
                other = chance.choice(lasting)
                at_s = min(other.at_s + chance.uniform(0, min(other.for_s, 30.0)), length_s * 0.9)
            elif where < 0.6:  # in the midst of work, where coincidences are
                at_s = burst_s + chance.uniform(-1, 9)
            elif where < 0.9:
                at_s = burst_s + chance.uniform(0, min(STRETCH_S, length_s * 0.25))
            else:
                at_s = chance.uniform(0, length_s * 0.8)
            add(kind, at_s)
            if company and kind in COMPANIONS and chance.random() < company:
                lasts_s = faults[-1].for_s
                for other_kind in chance.choice(COMPANIONS[kind]).split():
                    for_s = lasts_s + OUTLASTS_S if 0 < lasts_s < HANGS_S and other_kind in LASTING else 0.0
                    add(other_kind, max(0.0, at_s + chance.uniform(-1, 2)), for_s)
    faults.sort(key=lambda fault: fault.at_s)
    return Plan(
        seed, engine, reapers, mode, hours, chance.choice((1, 4, 8, 32)), chance.random() < 0.6, discovers,
        chance.choice((1.0, 8.0, 25.0, 25.0)), sessions, tuple(faults),
        chance.choice(GUARDS), chance.choice(PACES), rests=True,
    )  # fmt: skip


def has_stuck(plan: Plan) -> bool:
    """Return whether a session of the plan fails each time, which makes pauses by itself."""
    return any(one.nature == STUCK for one in plan.sessions)


def _natures(chance: Random) -> tuple[str, ...]:
    """Return the natures to choose from. Protection makes a check before each DELETE: half do without."""
    natures = NATURES if chance.random() < 0.5 else NATURES[:-1]
    return (*natures, STUCK) if chance.random() < 0.25 else natures


def _swarm(chance: Random) -> tuple[Sequence[str], float]:
    """Return the kinds of faults of a seed, and how often one that has company comes with it."""
    kinds = [kind for kind in KINDS if chance.random() < 0.3]
    if chance.random() < 0.25:
        # Few kinds, often: where a third of all kinds is on, what needs two at once is soon over by a third.
        return [chance.choice([*COMPANIONS]), chance.choice(KINDS)], 0.8
    return kinds, 0.4


def _session(
    chance: Random,
    seed: int,
    number: int,
    length_s: float,
    bursts_s: Sequence[float],
    mode: str,
    discovers: bool,
    natures: Sequence[str],
) -> PlannedSession:
    ways = ("file", "spool", "add") if mode == "run" else ("add",)
    way = "list" if discovers and chance.random() < 0.4 else chance.choice(ways)
    # Half of them come in bursts, because what goes wrong goes wrong with many at once.
    burst = chance.choice(bursts_s) + chance.uniform(0, 5)
    asked_s = burst if chance.random() < 0.5 else chance.uniform(1, length_s * 0.8)
    nature = "own" if way == "list" else chance.choice(natures)
    expires_s, ends_by_itself, latest_s = 1e9, chance.random() < 0.1, 600
    if way == "list":
        expires_s = chance.choice((asked_s, asked_s + 600, 1e9))
        # Most end some time after, stopped or not: those that a guard holds would make each list longer.
        latest_s = 600 if expires_s == 1e9 else 2400
        ends_by_itself = ends_by_itself or chance.random() < 0.8
    return PlannedSession(
        f"env_{seed}-{number}",
        way,
        round(asked_s, 3),
        round(asked_s + chance.uniform(-300, latest_s), 3) if ends_by_itself else None,
        round(chance.choice((30, 300, 1500)) * chance.uniform(0.5, 1.5), 3) if chance.random() < 0.2 else None,
        nature,
        round(expires_s, 3),
        round(asked_s + chance.uniform(1, 1800), 3) if chance.random() < 0.05 and way == "add" else None,
    )
