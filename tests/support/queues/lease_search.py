"""An exhaustive search of the lease protocol, and what has to hold in each state and at each step.

Every ID that comes up gets a number, and a state is the numbers of its IDs: so what can happen to an ID, and whether
that is right, is worked out once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from reaper.core.model import PROVEN, Outcome
from reaper.queues.accounting import ACCEPTED, LedgerCounts, balance_checks
from tests.support.queues.lease_model import DEAD, NOBODY, WORKERS, Id, Move, Protocol


class State(NamedTuple):
    """The whole world. `faults` are those still allowed; `counts` the names counted so far, sorted."""

    ids: tuple[int, ...]
    up: bool
    faults: int
    counts: tuple[str, ...]


class Step(NamedTuple):
    """A move of one ID, by the number of its place, or of the engine; `wrong` says what does not hold of it."""

    what: str
    after: State
    wrong: str | None = None


@dataclass(frozen=True)
class Found:
    """What the search saw. `wrong` is the first thing that did not hold, with the steps that led to it."""

    states: int
    steps: int
    settled: int
    """States in which every ID has its outcome and nobody holds anything."""
    wrong: str | None = None


@dataclass
class Search:
    """Goes breadth-first through every state that can be reached, so that what is wrong is found by a shortest way."""

    protocol: Protocol
    _known: list[Id] = field(default_factory=list)
    _numbers: dict[Id, int] = field(default_factory=dict)
    _swapped: dict[int, int] = field(default_factory=dict)
    _moves: dict[tuple[int, tuple[int, ...], bool, bool], list[tuple[Move, int, str | None]]] = field(
        default_factory=dict
    )
    _heals: dict[State, bool] = field(default_factory=dict)

    def run(self, ids: int, faults: int) -> Found:
        """Begin with so many IDs just accepted; at most so many things go wrong on any way."""
        first = self._canonical(State((self._number(Id()),) * ids, True, faults, (ACCEPTED,) * ids))
        came_from: dict[State, tuple[State, str] | None] = {first: None}
        waiting = deque([first])
        steps = settled = 0
        while waiting:
            state = waiting.popleft()
            wrong = self._state_fault(state)
            if wrong is None and not self._heals_at(state):
                wrong = "nobody will ever settle all of it"
            settled += self._over(state)
            for step in self._steps(state) if wrong is None else ():
                steps += 1
                if step.wrong is not None:
                    wrong = f"{step.what}: {step.wrong}"
                    break
                if step.after not in came_from:
                    came_from[step.after] = (state, step.what)
                    waiting.append(step.after)
            if wrong is not None:
                return Found(len(came_from), steps, settled, _told(came_from, state, wrong))
        return Found(len(came_from), steps, settled)

    def _steps(self, state: State, *, soundly: bool = False) -> Iterator[Step]:
        """Yield all that can happen next, or only what a world in which nothing goes wrong any more does of it."""
        ids, up, faults, counts = state
        if not up:
            yield Step("the engine is back", state._replace(up=True))
        elif faults and not soundly:
            yield Step("the engine goes away", state._replace(up=False, faults=faults - 1))
        busy = {worker for number in ids for worker in WORKERS if self._known[number].hands[worker - 1]}
        idle = tuple(worker for worker in WORKERS if worker not in busy)
        for place, number in enumerate(ids):
            for move, after, wrong in self._moves_of(number, idle, up, faults > 0 and not soundly):
                if soundly and "unsent" in move.what:
                    continue
                grown = tuple(sorted((*counts, *move.counts))) if move.counts else counts
                moved = State((*ids[:place], after, *ids[place + 1 :]), up, faults - move.fault, grown)
                yield Step(move.what, self._canonical(moved), wrong)

    def _moves_of(
        self, number: int, idle: tuple[int, ...], up: bool, faulty: bool
    ) -> list[tuple[Move, int, str | None]]:
        key = number, idle, up, faulty
        if (moves := self._moves.get(key)) is None:
            one = self._known[number]
            every = dict.fromkeys(move for move in self.protocol.moves(one, idle, up) if faulty or not move.fault)
            moves = [(move, self._number(move.after), fault_of(one, move)) for move in every]
            self._moves[key] = moves
        return moves

    def _number(self, one: Id) -> int:
        number = self._numbers.setdefault(one, len(self._known))
        if number == len(self._known):
            self._known.append(one)
            self._swapped[number] = self._number(one.swapped())
        return number

    def _canonical(self, state: State) -> State:
        """Return the one state that stands for all that differ in the names of IDs and workers only."""
        ids, swapped = sorted(state.ids), sorted(self._swapped[number] for number in state.ids)
        return State(tuple(min(ids, swapped)), state.up, state.faults, state.counts)

    def _state_fault(self, state: State) -> str | None:
        ids = [self._known[number] for number in state.ids]
        if lines := unbalanced(tuple(map(_in_the_books, ids)), state.counts):
            return f"the books do not balance: {', '.join(lines)}"
        if unproven := [
            one.outcome for one in ids if one.outcome in PROVEN and (one.alive or one.status not in one.said)
        ]:
            return f"{unproven[0]} without the answer that says so"
        return None

    def _over(self, state: State) -> bool:
        ids = (self._known[number] for number in state.ids)
        return state.up and all(one.outcome is not None and one.hands == (None, None) for one in ids)

    def _heals_at(self, state: State) -> bool:
        """Tell whether all is settled in the end once nothing goes wrong any more: then nothing is lost."""
        way: list[State] = []
        while state not in self._heals:
            way.append(state)
            self._heals[state] = self._over(state)  # until the end is seen: who goes in a circle never comes to one
            sound = list(self._steps(state, soundly=True))
            if not self._heals[state] and sound:
                # An idle worker claims when nothing else is left to do.
                state = min(sound, key=lambda step: "claims" in step.what).after
        for passed in way:
            self._heals[passed] = self._heals[state]
        return self._heals[state]


def fault_of(one: Id, move: Move) -> str | None:
    """Return what does not hold of a move."""
    then = move.after
    if one.outcome is not None and one.row != then.row:
        return "an ID that was settled changed"
    if one.outcome is then.outcome and move.counts:
        return "something was counted where nothing ended"
    if "claims" in move.what and one.holder != NOBODY and not one.expired:
        return "an ID was claimed that somebody holds"
    ending = "applies" in move.what or "hands back" in move.what
    if ending and one.holder != move.worker and one.row != then.row:
        return "a stale receipt changed the row"
    return None


@cache
def _in_the_books(one: Id) -> tuple[Outcome | None, bool, bool, bool]:
    """Return what the audit reads of a row: the outcome, whether it is in flight, proven, and sound in itself."""
    in_flight = one.outcome is None and one.holder != NOBODY and not one.expired
    proven = one.outcome not in PROVEN or (one.recorded > 0 and one.status in (204, 404))
    free = one.holder == NOBODY or (one.holder in (*WORKERS, DEAD) and one.outcome is None)
    return one.outcome, in_flight, proven, free and 0 <= one.attempts <= one.recorded <= one.sends


@cache
def unbalanced(rows: tuple[tuple[Outcome | None, bool, bool, bool], ...], counts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the equations of the audit that do not hold."""
    figures = LedgerCounts(
        counters=Counter(counts),
        kept=Counter(outcome for outcome, _, _, _ in rows if outcome is not None),
        waiting=sum(outcome is None and not in_flight for outcome, in_flight, _, _ in rows),
        in_flight=sum(in_flight for _, in_flight, _, _ in rows),
        accepted_by_source=len(rows),
        duplicate_by_source=0,
        invalid_by_source=0,
        unproven=sum(not proven for _, _, proven, _ in rows),
        contradictory=sum(not sound for _, _, _, sound in rows),
    )
    return tuple(line.name for line in balance_checks(figures) if not line.balanced)


def _told(came_from: dict[State, tuple[State, str] | None], state: State, wrong: str) -> str:
    way = []
    at = came_from[state]
    while at is not None:
        way.append(at[1])
        at = came_from[at[0]]
    return "\n".join([*reversed(way), f"wrong: {wrong}"])
