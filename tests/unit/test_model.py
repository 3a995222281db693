"""The few values that compute something."""

from reaper.core.model import Audit, AuditLine, Outcome, Stats


def stats(**more: int) -> Stats:
    figures = {"ready": 1, "delayed": 2, "in_flight": 3, "accepted": 11, "dead": 1, "duplicate": 9, "invalid": 9}
    return Stats(**{**figures, **more}, settled={Outcome.STOPPED: 4, Outcome.REJECTED: 1}, oldest_due_s=0.0)


def test_the_imbalance_is_what_was_accepted_and_is_nowhere() -> None:
    assert stats().imbalance == 0
    assert stats(accepted=12).imbalance == 1
    assert stats(in_flight=4).imbalance == -1


def test_an_audit_balances_when_every_line_does() -> None:
    good, bad = AuditLine("rows", 3, 3), AuditLine("sends", 3, 2)
    assert Audit(stats(), (good,)).balanced
    assert not Audit(stats(), (good, bad)).balanced
