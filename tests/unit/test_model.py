"""Values that compute something."""

from reaper.core.model import MAX_HISTORY, Answered, Audit, AuditLine, Failed, Fault, Outcome, Pause, PauseReason, Stats


def stats(**more: int) -> Stats:
    figures = {
        "ready": 1,
        "scheduled": 1,
        "retrying": 1,
        "in_flight": 3,
        "accepted": 11,
        "dead": 1,
        "duplicate": 9,
        "invalid": 9,
    }
    return Stats(
        **{**figures, **more}, dead_by_outcome={}, settled={Outcome.STOPPED: 4, Outcome.REJECTED: 1}, oldest_due_s=0.0
    )


def test_the_imbalance_counts_accepted_rounds_that_are_missing() -> None:
    assert stats().imbalance == 0
    assert stats(accepted=12).imbalance == 1
    assert stats(in_flight=4).imbalance == -1


def test_an_audit_balances_when_every_line_does() -> None:
    good, bad = AuditLine("rows", 3, 3), AuditLine("sends", 3, 2)
    assert Audit(stats(), (good,)).balanced
    assert not Audit(stats(), (good, bad)).balanced


def test_a_pause_moves_to_another_clock_but_the_operators_is_on_it_already() -> None:
    pause = Pause(PauseReason.THROTTLED, 10.0, "429", 15.0)
    assert pause.shifted(100.0) == Pause(PauseReason.THROTTLED, 110.0, "429", 115.0)
    assert Pause(PauseReason.API_DOWN, 10.0, "502").shifted(100.0) == Pause(PauseReason.API_DOWN, 110.0, "502")
    switch = Pause(PauseReason.OPERATOR, 10.0, "maintenance", 15.0)
    assert switch.shifted(100.0) is switch


def test_by_default_one_delete_was_sent() -> None:
    assert Answered(204, b"", 0.1).again == Failed(Fault.RESET, True, "", 0.1).again == 0
    assert MAX_HISTORY == 20
