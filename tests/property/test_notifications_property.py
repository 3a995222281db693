"""What no interleaving of reapers on one queue may bring about: a change told twice, or one that is never told."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from reaper.core.model import Outcome, Pause, PauseReason, Stats
from reaper.core.notifications import (
    DEAD_REPEAT_S,
    MAX_PER_HOUR,
    REPEAT_S,
    Change,
    Facts,
    Notification,
    Notified,
    advance,
    read_notified,
    to_text,
)

T = 1_900_000_000.0

steps = st.lists(
    st.tuples(
        st.sampled_from([1.0, 14.0, 16.0, 300.0, 601.0, 3601.0]),
        st.frozensets(st.sampled_from([PauseReason.CREDENTIALS, PauseReason.WRONG_TARGET, PauseReason.API_DOWN])),
        st.booleans(),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=40,
)


@given(steps)
def test_changes_alternate_and_keep_their_distance(
    found: list[tuple[float, frozenset[PauseReason], bool, int, int, int, bool]],
) -> None:
    text: str | None = None
    now, ever = T, 0
    sent: list[Notification] = []
    for after_s, reasons, is_proven, kept, died, lost, loses_race in found:
        now, ever = now + after_s, ever + died
        kept = min(kept, ever)
        stats = Stats(0, 0, 0, 0, ever + lost, {Outcome.REJECTED: ever}, kept, 0, 0, 0.0)
        facts = Facts(now, [Pause(reason, now, "x") for reason in reasons], is_proven=is_proven, stats=stats)
        state, messages = advance(read_notified(text), facts)
        assert read_notified(to_text(state)) == state
        if loses_race:  # another reaper of the same view was quicker: it sends, and this one compares anew
            again, repeated = advance(read_notified(to_text(state)), facts)
            assert (again, repeated) == (state, ())
        if messages:
            assert state != read_notified(text), "a message without a change of the state would be sent by everyone"
        text = to_text(state)
        sent += messages
    for key in {each.key for each in sent}:
        own = [each for each in sent if each.key == key]
        changes = [each.change for each in own if each.change is not Change.GREW]
        assert changes == [Change.ENDED if index % 2 else Change.BEGAN for index in range(len(changes))]
        at = [each.facts.now for each in own if each.change is not Change.ENDED]
        gap_s = DEAD_REPEAT_S if key == "dead" else REPEAT_S
        assert all(later - earlier >= gap_s for earlier, later in itertools.pairwise(at))
    for one in sent:
        assert sum(one.facts.now <= other.facts.now < one.facts.now + 3600 for other in sent) <= 2 * MAX_PER_HOUR


@given(steps, st.sampled_from([PauseReason.CREDENTIALS, PauseReason.WRONG_TARGET]))
def test_what_lasts_is_known_in_the_end(
    found: list[tuple[float, frozenset[PauseReason], bool, int, int, int, bool]], reason: PauseReason
) -> None:
    """Whatever came before: a pause that holds is told within `REPEAT_S`, and that it is over soon after its end."""
    state, now = Notified(), T
    told: dict[str, Change] = {}

    def look(facts: Facts) -> None:
        nonlocal state
        state, messages = advance(state, facts)
        told.update({each.key: each.change for each in messages})

    for after_s, reasons, is_proven, *_ in found:
        now += after_s
        look(Facts(now, [Pause(each, now, "x") for each in reasons], is_proven=is_proven))
    for _ in range(3):
        now += REPEAT_S * 3
        look(Facts(now, [Pause(reason, now, "x")]))
    assert told[reason.value] is Change.BEGAN
    for _ in range(3):
        now += REPEAT_S * 3
        look(Facts(now, is_proven=True))
    assert told[reason.value] is Change.ENDED
