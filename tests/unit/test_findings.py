"""The findings of a sweep: counted by rule, and put into words that say why nothing came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.cli.commands.sweep_report import SweepReport
from reaper.core.discovery.findings import Findings, RuleCount, count_findings
from reaper.core.discovery.guard import Pass, UnusableListing
from reaper.core.discovery.holds import Guard, Hold, HoldState
from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.policy import Judged, Judgement, Rule
from reaper.core.discovery.sightings import Sightings
from reaper.core.errors import Exit
from reaper.core.model import Outcome, SessionId
from reaper.intake.discovery.sweep import SweepResult
from reaper.queues.values import Added

NOW = 2_000_000_000.0
RULES = {
    "a": Rule.EXPIRED,
    "b": Rule.EXPIRED,
    "c": Rule.EXPIRED,
    "d": Rule.EXPIRED,
    "e": Rule.LIVE,
    "f": Rule.LIVE,
    "g": Rule.ORPHANED,
}
JUDGED = [
    Judged(SessionSummary(SessionId(one), batch_id=f"of-{one}"), Judgement(rule, "")) for one, rule in RULES.items()
]
OUTCOMES = {
    SessionId("a"): None,
    SessionId("b"): Outcome.FORBIDDEN,
    SessionId("c"): Outcome.PROTECTED,
    SessionId("g"): None,
}
KNOWN = frozenset(map(SessionId, "abg"))


def found(owners: frozenset[str] | None = None, server_now: float | None = NOW, **since: float) -> Findings:
    sightings = Sightings({SessionId(one): at for one, at in since.items()})
    return count_findings(
        JUDGED,
        outcomes=OUTCOMES,
        known=KNOWN,
        owners=owners,
        owners_failure=None,
        sightings=sightings,
        server_now=server_now,
    )


def test_each_rule_tells_new_from_known() -> None:
    """`c` was spared as renewed, so a sweep may choose it again."""
    counted = found()
    assert counted.rules == (
        RuleCount(Rule.EXPIRED, 4, 1, {Outcome.FORBIDDEN: 1}),
        RuleCount(Rule.ORPHANED, 1, 1),
        RuleCount(Rule.LIVE, 2),
    )
    assert (counted.listed, counted.to_stop, counted.chosen) == (7, 5, 2)


@pytest.mark.parametrize(
    ("since", "due_s"),
    [({}, 60.0), ({"e": NOW - 15}, 45.0), ({"e": NOW + 500}, 60.0), ({"e": NOW - 15, "f": NOW - 59}, 1.0)],
)
def test_an_orphan_seen_once_is_counted_with_the_time_until_it_can_be_seen_again(
    since: dict[str, float], due_s: float
) -> None:
    counted = found(frozenset({"of-z"}), **since)
    assert (counted.sighted, counted.sighting_due_s) == (2, due_s)
    assert found(frozenset({"of-e"})).sighted == 1
    assert found(None).sighted == 0
    assert found(frozenset({"of-z"}), None).sighted == 2


HOLD = Hold("7f3a", NOW, NOW + 86_400, (Guard.MAX_PER_SWEEP,), "3 would be stopped", {SessionId("a"): Rule.EXPIRED})
CHOSEN = Pass({SessionId("a"): Rule.EXPIRED})
OLD = RuleCount(Rule.EXPIRED, 1)
LIVE = RuleCount(Rule.LIVE, 2)


def report(
    ruling: Pass | Hold | UnusableListing, *rules: RuleCount, enforce: bool = True, dry: bool = False
) -> SweepReport:
    added = Added(1, 0, 0) if enforce and not dry and ruling is CHOSEN else Added(0, 0, 0)
    return SweepReport(
        SweepResult(ruling, Findings(rules), added=added, hold_is_kept=enforce and not dry), enforce=enforce, dry=dry
    )


@pytest.mark.parametrize(
    ("said", "result", "note"),
    [
        (report(CHOSEN, OLD), "queued", "1 session is now queued to be stopped"),
        (report(CHOSEN, OLD, dry=True), "queued", "1 session would be queued to be stopped"),
        (report(CHOSEN, OLD, enforce=False), "only_reported", "nothing was queued: discovery.enforce is false"),
        (report(CHOSEN, OLD, enforce=False, dry=True), "only_reported", "nothing would be queued: discovery.enforce"),
        (report(Pass({})), "nothing_new", "nothing to stop: the account has no session"),
        (report(Pass({}), LIVE, enforce=False), "nothing_new", "nothing to stop: the rules keep every listed session"),
        (report(Pass({}), RuleCount(Rule.EXPIRED, 1, 1)), "nothing_new", "nothing new to stop: the queue has accepted"),
        (report(UnusableListing("doubled")), "list_unusable", "doubled"),
    ],
)
def test_a_report_says_what_came_of_a_sweep(said: SweepReport, result: str, note: str) -> None:
    assert said.result == result
    assert said.notes()[0].startswith(note)
    assert len(said.notes()) == 1
    assert said.exit is (Exit.HELD if result == "list_unusable" else Exit.OK)


def test_a_held_sweep_names_the_hold_and_the_commands_that_decide() -> None:
    held = report(HOLD, OLD)
    assert (held.exit, held.result, held.as_json()["hold"]) == (Exit.HELD, "held", "7f3a")
    for command in ("reaper holds 7f3a", "reaper approve 7f3a", "reaper discard 7f3a"):
        assert command in held.notes()[0]
    simulated = report(HOLD, OLD, dry=True)
    assert simulated.exit is Exit.HELD
    assert simulated.as_json()["hold"] is None
    assert "7f3a" not in simulated.notes()[0], "a dry run makes no hold"
    reported = report(HOLD, OLD, enforce=False)
    assert (reported.exit, reported.result) == (Exit.OK, "only_reported")
    assert [note.split(":")[0] for note in reported.notes()] == [
        "a guard would hold all of them",
        "nothing was queued",
    ]
    assert "to have them held for your approval" in reported.notes()[1]
    assert "to stop them" not in reported.notes()[1], "that would stop none of them"


def test_reaper_sessions_does_not_send_to_itself() -> None:
    kept = report(CHOSEN, LIVE)
    assert kept.notes()[0].endswith("keep every listed session; the reason of each: reaper sessions")
    assert replace(kept, has_reasons=True).notes()[0].endswith("keep every listed session")


def test_a_sweep_that_was_discarded_before_names_who_did() -> None:
    discarded = replace(HOLD, fate=HoldState.DISCARDED, by="ann")
    assert "ann discarded the same sessions (hold 7f3a)" in report(discarded, OLD).notes()[0]


def test_the_reasons_for_missing_orphans_follow() -> None:
    findings = Findings(
        (LIVE,), sighted=2, sighting_due_s=45.2, owners_failure="live-batches ended with 1", has_time=False
    )
    notes = SweepReport(SweepResult(Pass({}), findings), enforce=True).notes()[1:]
    assert notes == [
        "2 sessions have no live owner; an orphan has to be seen twice, at least 60 s apart: come back in 45 s",
        "the owners are unknown, so nothing is orphaned: live-batches ended with 1",
        "the API's answer has no Date, so no rule about time stops anything",
    ]
    simulated = SweepReport(SweepResult(Pass({}), findings), enforce=True, dry=True).notes()[1]
    assert simulated.endswith("only once and run keep what they see")


def test_the_counts_are_printed_by_rule(capsys: pytest.CaptureFixture[str]) -> None:
    many = RuleCount(Rule.EXPIRED, 16, 2, {Outcome.ALREADY_GONE: 1})
    report(Pass({}), many, RuleCount(Rule.FAILED, 2, 2), LIVE).say()
    assert capsys.readouterr().err.splitlines()[:4] == [
        "reaper: discovery: 20 sessions listed, 18 to stop, 2 to keep",
        "reaper:   to stop  16 expired: 13 new, 2 in the queue already, 1 settled before (already gone)",
        "reaper:   to stop   2 failed: 2 in the queue already",
        "reaper:   to keep   2 live",
    ]
    report(CHOSEN, OLD).say(quiet=True)
    assert capsys.readouterr().err == ""
    report(HOLD, OLD).say(quiet=True)
    assert "reaper approve 7f3a" in capsys.readouterr().err
    report(UnusableListing("doubled")).say(quiet=True)
    assert capsys.readouterr().err == "reaper: discovery stopped: doubled\n"
