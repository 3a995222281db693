"""What `once` says at its end, and to whom: the summary always, the rest as far as somebody must know it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.app.run_summary import Summary
from reaper.cli.terminal.summary import heading, print_summary
from reaper.core.errors import Exit
from reaper.core.model import Outcome
from reaper.library.summary import summary_of
from reaper.queues.values import Added, SetView

NOTHING = Summary(Added(0, 0, 0), SetView(0, 0, 0, 0), 0, 0.0, Exit.OK)
KNOWN = replace(NOTHING, added=Added(0, 2, 0))
LATER = Summary(Added(1, 0, 0), SetView(0, 1, 0, 0), 0, 0.1, Exit.OK)
DEAD = Summary(Added(3, 0, 2), SetView(0, 0, 0, 0, {Outcome.STOPPED: 1, Outcome.FORBIDDEN: 2}), 3, 0.1, Exit.DEAD)
LEFT = Summary(Added(1, 0, 0), SetView(1, 0, 0, 0), 0, 2.0, Exit.CREDENTIALS, why="credentials: refused (401)")


def printed(capsys: pytest.CaptureFixture[str], summary: Summary, **options: bool) -> list[str]:
    print_summary(summary, **options)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("summary", "lines"),
    [
        (
            NOTHING,
            ["reaper: nothing to do: no session ID came in, and nothing in the queue is due; see: reaper status"],
        ),
        (
            KNOWN,
            [
                "reaper: nothing to do: every ID that came in is settled or not due yet, and nothing in the queue "
                "is due; see: reaper status"
            ],
        ),
        (LATER, ["reaper: 1 ID is not due yet and stays queued: run again later, or let `reaper run` wait"]),
    ],
)
def test_what_is_well_is_printed_unless_only_problems_are_wanted(
    summary: Summary, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, summary) == lines
    assert printed(capsys, summary, quiet=True) == []


@pytest.mark.parametrize("quiet", [False, True])
def test_what_somebody_must_see_to_is_printed_with_what_to_do(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, DEAD, quiet=quiet) == [
        "reaper: 2 lines are invalid and were skipped; the log names the first of them with their reasons",
        "reaper: 2 sessions could not be stopped; see: reaper dead list",
    ]
    assert printed(capsys, LEFT, quiet=quiet) == [
        "reaper: stopped early: credentials: refused (401); what was not stopped stays queued for the next run"
    ]


def test_sessions_that_a_killed_process_may_have_stopped_are_told_from_the_others_that_were_gone() -> None:
    view = SetView(0, 0, 0, 0, {Outcome.STOPPED: 5, Outcome.ALREADY_GONE: 3})
    summary = Summary(Added(0, 8, 0), view, 8, 0.1, Exit.OK, gone_after_unanswered=2)
    note = "2 of the 3 already gone: an earlier send, whose process ended before its reply was recorded, may have"
    assert [one.startswith(note) for one in summary.notes] == [True]
    assert replace(summary, gone_after_unanswered=0).notes == []
    assert replace(summary, earlier={Outcome.ALREADY_GONE: 3}).notes == [], "they are not of this run"


def test_what_earlier_runs_did_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    view = SetView(0, 0, 0, 0, {Outcome.STOPPED: 20, Outcome.ALREADY_GONE: 3})
    summary = Summary(Added(0, 23, 0), view, 3, 0.1, Exit.OK, earlier={Outcome.STOPPED: 20, Outcome.FORBIDDEN: 0})
    print_summary(summary)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [" ".join(line.split()) for line in lines] == ["stopped 0 now, 20 by earlier runs", "already gone 3"]
    assert summary.as_json()["stopped"] == 20
    earlier = summary.as_json()["earlier"]
    assert isinstance(earlier, dict)
    assert {name for name, count in earlier.items() if count} == {"stopped"}
    assert set(earlier) == {outcome.value for outcome in Outcome}
    later = replace(summary, view=SetView(0, 1, 2, 0, {}, 3700.0, 112.0), now=100.0, earlier={})
    print_summary(later)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [" ".join(line.split()) for line in lines] == ["retrying 2 next due in 12 s", "scheduled 1 next due in 1 h"]
    counts = later.as_json()
    assert [counts[name] for name in ("waiting", "scheduled", "retrying", "delayed")] == [3, 1, 2, 3]
    assert str(summary_of(later)) == "3 sessions in 0.1 s: 2 retrying, 1 scheduled"
    assert str(summary_of(summary)) == "23 sessions in 0.1 s: 0 stopped now, 20 by earlier runs, 3 already gone"


@pytest.mark.parametrize("code", [Exit.HELD, Exit.CREDENTIALS, Exit.UNAVAILABLE])
def test_of_a_sweep_that_did_not_come_about_nobody_says_that_there_was_nothing_to_do(
    code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, replace(NOTHING, exit=code)) == []


def test_of_a_ledger_that_is_gone_nothing_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "dead list" not in " ".join(printed(capsys, DEAD, ephemeral_ledger=True))
    assert printed(capsys, LEFT, ephemeral_ledger=True) == ["reaper: stopped early: credentials: refused (401)"]


def test_one_is_one_and_thousands_are_readable() -> None:
    assert heading(Summary(Added(1, 0, 0), SetView(1, 0, 0, 0), 1, 0.25, Exit.OK)).startswith(
        "0 of 1 session in 0.2 s with 1 send  (1 accepted"
    )
    assert heading(Summary(Added(3000, 0, 0), SetView(9, 0, 0, 0), 519, 7.0, Exit.OK), 31).splitlines() == [
        "0 of 9 sessions in 7.0 s",
        "with 519 sends",
        "(3,000 accepted, 0 duplicate, 0 invalid)",
    ]
    stopped = SetView(0, 0, 0, 0, {Outcome.STOPPED: 3000})
    assert heading(Summary(Added(3000, 0, 0), stopped, 1500, 9.0, Exit.OK)).startswith(
        "3,000 sessions in 9.0 s with 1,500 sends  (3,000 accepted"
    )
    flaky = Summary(Added(9, 0, 0), SetView(9, 0, 0, 0), 12, 0.25, Exit.OK, retries=1)
    assert heading(flaky).startswith("0 of 9 sessions in 0.2 s with 12 sends, of them 1 retry  (9 accepted")
    assert "with 12 sends, of them 3 retries  (" in heading(replace(flaky, retries=3))
    assert (flaky.as_json()["retries"], summary_of(flaky).retries) == (1, 1)


def test_a_set_that_was_wholly_gone_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    gone = Summary(Added(2, 0, 0), SetView(0, 0, 0, 0, {Outcome.ALREADY_GONE: 3}), 2, 0.1, Exit.OK)
    said = "every session of this run was already gone; if that is a surprise: reaper check"
    assert printed(capsys, gone) == [f"reaper: {said}"]
    assert gone.as_json()["notes"] == list(summary_of(gone).notes) == [said]
    assert replace(gone, earlier={Outcome.ALREADY_GONE: 3}).notes == []
    assert replace(gone, view=SetView(0, 0, 0, 0, {Outcome.ALREADY_GONE: 3, Outcome.STOPPED: 1})).notes == []


def test_many_404s_without_reads_are_a_note() -> None:
    assert replace(KNOWN, unproven=1200).notes == [
        "1,200 answers of 404 or 410 in a row: api.verify=false keeps reaper from comparing them with the API's list"
    ]
