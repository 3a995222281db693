"""What `once` says at its end, and to whom: the summary always, the rest as far as somebody must know it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.app.once import Summary
from reaper.cli.terminal.summary import heading, print_summary
from reaper.core.errors import Exit
from reaper.core.model import Outcome
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
        "reaper: 2 lines are invalid and were skipped; the log names each with its reason",
        "reaper: 2 sessions could not be stopped; see: reaper dead list",
    ]
    assert printed(capsys, LEFT, quiet=quiet) == [
        "reaper: stopped early: credentials: refused (401); what was not stopped stays queued for the next run"
    ]


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
        "1 session in 0.2 s with 1 send  (1 accepted"
    )
    assert heading(Summary(Added(3000, 0, 0), SetView(3000, 0, 0, 0), 1500, 9.0, Exit.OK)).startswith(
        "3,000 sessions in 9.0 s with 1,500 sends  (3,000 accepted"
    )
