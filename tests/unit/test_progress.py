"""Progress: the frames drawn from its figures, and the choice of how they are shown."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from reaper.app.run_summary import Summary
from reaper.cli.terminal import live, progress
from reaper.cli.terminal.progress import ProgressMode
from reaper.cli.terminal.progress_stats import IntakeFigures, RunFigures
from reaper.cli.terminal.summary import begins, heading
from reaper.cli.terminal.summary_rows import rows
from reaper.cli.terminal.summary_table import summary_table
from reaper.core.errors import Exit
from reaper.core.model import Outcome, Pause, PauseReason
from reaper.core.notices import WHAT_TO_DO
from reaper.intake.inputs import Input
from reaper.queues.values import Added, SetView

VIEW = SetView(100, 7, 12, 0, {Outcome.STOPPED: 1290, Outcome.ALREADY_GONE: 15, Outcome.FORBIDDEN: 5})
FIGURES = RunFigures(VIEW, in_flight=32, limit=64, sends=1500, now=1000.0, rate_per_s=148.2, pace_per_s=148.2)


def drawn(frame: RenderableType, width: int, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=bool(options), **options)
    console.print(frame, end="")
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


# --- what is drawn ------------------------------------------------------------------------------------------------


def test_the_first_sentence_and_the_progress_have_one_total() -> None:
    fresh = SetView(373, 100, 0, 0)
    assert begins(fresh, 32) == "stopping 373 sessions, at most 32 at once"
    again = SetView(350, 7, 22, 1, {Outcome.STOPPED: 20, Outcome.FORBIDDEN: 3})
    assert begins(again, 32) == "stopping 373 of 396 sessions, at most 32 at once; 23 were settled by earlier runs"
    assert replace(FIGURES, view=again).total == 396
    text = drawn(live.run_frame(replace(FIGURES, view=again, earlier=23), 80), 80)
    assert "23 of 396" in text
    assert "23 by earlier runs" in text


def test_a_run_at_80_columns() -> None:
    bar, *facts = drawn(live.run_frame(FIGURES, 80), 80).splitlines()
    assert bar.startswith("━━━━")
    assert bar.rstrip().endswith(" 92 %  1,310 of 1,422")
    assert facts == [
        "148/s · about 1 s left · 32 in flight of at most 64 · 12 retries wait",
        "7 scheduled for later",
        "stopped 1,290 · already gone 15 · forbidden 5",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_nothing_is_wider_than_the_terminal_and_no_fact_is_broken(width: int) -> None:
    pause = Pause(PauseReason.CREDENTIALS, 988.0, "the API refused the token (401)")
    figures = replace(FIGURES, pauses=(pause,), ends_in_s=18.0, stopping=True, unavailable="the ledger is locked")
    lines = drawn(live.run_frame(figures, width), width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for fact in ("92 %", "32 in flight of at most 64", "12 retries wait", "already gone 15", "PAUSED: credentials"):
        assert fact in text
    assert WHAT_TO_DO[PauseReason.CREDENTIALS].split()[0] in text
    assert "else this run ends in 18 s" in text.replace("\n", " ")
    assert "Ctrl-C again" in text
    assert "QUEUE UNAVAILABLE" in text


@pytest.mark.parametrize("reason", PauseReason)
def test_every_pause_says_what_to_do(reason: PauseReason) -> None:
    figures = replace(FIGURES, pauses=(Pause(reason, 940.0, "because", until=1030.0),))
    text = drawn(live.run_frame(figures, 200), 200)
    assert f"PAUSED: {reason.value}, for 1 m, ends in 30 s: because" in text
    assert WHAT_TO_DO[reason] in text


def test_before_the_api_has_shown_itself_the_display_says_so() -> None:
    assert "checking that this is the API" in drawn(live.run_frame(replace(FIGURES, proven=False), 80), 80)


def test_colours_are_left_out_under_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = live.run_frame(FIGURES, 80)
    assert "\x1b[32mstopped" in drawn(frame, 80, color_system="standard", no_color=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn(frame, 80, color_system="standard")


def test_what_comes_from_outside_cannot_steer_the_terminal() -> None:
    pause = Pause(PauseReason.OPERATOR, 1.0, "evil \x1b[2J [red]markup[/red]")
    text = drawn(live.run_frame(replace(FIGURES, pauses=(pause,)), 120), 120)
    assert "\x1b[2J" not in text
    assert "[red]markup[/red]" in text


def test_lines_above_the_region_keep_their_colours_and_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    shown = live.LiveDisplay(stream)
    shown.print_above("12:00:00 [\x1b[33mwarning\x1b[0m] api.paused  detail='the API answered 429'\nnext\n")
    lines = stream.getvalue().splitlines()
    assert "\x1b[33mwarning\x1b[0m" in lines[0]
    assert [line.split()[-1] for line in lines] == ["api.paused", "429'", "next"]


def test_taking_in() -> None:
    figures = IntakeFigures("ids.txt", Added(120_000, 3_000, 2), 0.5, 100_000.0)
    lines = [line.rstrip() for line in drawn(live.intake_frame(figures, 80), 80).splitlines()]
    assert lines[0] == "reading ids.txt"
    assert "50 %  of the bytes" in lines[1]
    assert lines[2] == "120,000 accepted · 3,000 duplicate · 2 invalid · 100,000/s · about 1 s left"
    assert len(drawn(live.intake_frame(replace(figures, share=None), 80), 80).splitlines()) == 2


@pytest.mark.parametrize(
    ("per_s", "text"), [(None, "-/s"), (0, "0.0/s"), (0.2, "12 a minute"), (3.21, "3.2/s"), (1480, "1,480/s")]
)
def test_rates_for_people(per_s: float | None, text: str) -> None:
    assert live.rate(per_s) == text


def test_the_last_table_names_the_command_for_each_kind_of_dead_letter() -> None:
    counts = {Outcome.STOPPED: 5, Outcome.FORBIDDEN: 2}
    view = SetView(1, 1, 1, 0, counts, next_scheduled_at=3700.0, next_retry_at=112.0)
    summary = Summary(Added(10, 0, 0), view, 12, 1.5, Exit.DEAD, now=100.0)
    console = Console(file=io.StringIO(), width=80)
    summary_table(heading(summary), rows(summary), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "7 of 10 sessions in 1.5 s with 12 sends" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "forbidden 2 20.0% reaper dead list --outcome forbidden" in lines
    assert "still waiting 1 10.0% run again" in lines
    assert "retrying 1 10.0% run again; next due in 12 s" in lines
    assert "scheduled 1 10.0% run again; next due in 1 h" in lines
    console = Console(file=io.StringIO(), width=80)
    summary_table(heading(summary), rows(replace(summary, earlier={Outcome.STOPPED: 4})), console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert "outcome now by earlier runs what to do" in lines
    assert "stopped 1 4" in lines


@pytest.mark.parametrize("count", [5, 5_000_000])
@pytest.mark.parametrize("width", [40, 80])
def test_no_cell_of_the_last_table_is_wrapped(width: int, count: int) -> None:
    counts = {Outcome.STOPPED: count, Outcome.ALREADY_GONE: count, Outcome.FORBIDDEN: count}
    view = SetView(count, count, count, 0, counts, next_scheduled_at=3700.0, next_retry_at=112.0)
    summary = Summary(Added(9, 0, 0), view, 12, 1.5, Exit.DEAD, now=100.0)
    for earlier in ({}, {Outcome.STOPPED: count - 1}):
        console = Console(file=io.StringIO(), width=width)
        summary_table(heading(summary, width), rows(replace(summary, earlier=earlier)), console)
        lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
        assert max(map(len, lines)) <= width
        assert [line for line in lines if line.startswith("forbidden ") and f"{count:,}" in line]
        assert "reaper dead list --outcome forbidden" in " ".join(" ".join(lines).split())
        assert not [line for line in lines if line.strip() in ("waiting", "runs", "again", "do")]


def test_while_a_run_ends_the_time_that_is_left_is_the_drains() -> None:
    ending = replace(FIGURES, stopping=True, drain_left_s=17.6)
    assert ending.fields()["left_s"] == 17.6
    text = " ".join(drawn(live.run_frame(ending, 80), 80).split())
    assert "stopping: reaper waits for at most 18 s for what is in flight" in text
    assert "left" not in text


# --- which mode ----------------------------------------------------------------------------------------------------


def mode(
    monkeypatch: pytest.MonkeyPatch,
    *,
    tty: bool = True,
    term: str = "xterm",
    columns: int = 80,
    log_format: str = "auto",
    quiet: bool = False,
    ci: str = "",
) -> ProgressMode:
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: tty))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("CI", ci)
    settings: Any = SimpleNamespace(settings=SimpleNamespace(telemetry=SimpleNamespace(log_format=log_format)))
    return progress.progress_mode(settings, quiet=quiet)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ProgressMode.LIVE),
        ({"columns": 40}, ProgressMode.LIVE),
        ({"columns": 39}, ProgressMode.LINES),
        ({"term": "dumb"}, ProgressMode.LINES),
        ({"term": ""}, ProgressMode.LINES),
        ({"log_format": "json"}, ProgressMode.LINES),
        ({"tty": False}, ProgressMode.LINES),
        ({"quiet": True}, ProgressMode.NONE),
        ({"ci": "true"}, ProgressMode.LINES),
        ({"ci": "false"}, ProgressMode.LIVE),
    ],
)
def test_which_mode_shows_the_progress(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: ProgressMode
) -> None:
    assert mode(monkeypatch, **options) is expected


def test_a_person_who_must_type_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = os.openpty()
    try:
        progress.show_intake(ProgressMode.NONE, [Input("stdin", theirs)], lambda: Added(0, 0, 0))
        assert capsys.readouterr().err == ""
        progress.show_intake(ProgressMode.LIVE, [Input("stdin", theirs)], lambda: Added(0, 0, 0))
        assert capsys.readouterr().err == "reaper: type session IDs, one a line; Ctrl-D ends them\n"
    finally:
        os.close(ours)
        os.close(theirs)


def test_one_of_many_is_not_nothing_and_all_but_one_are_not_all() -> None:
    view = SetView(0, 1, 0, 0, {Outcome.STOPPED: 9_998, Outcome.FORBIDDEN: 1})
    console = Console(file=io.StringIO(), width=80)
    summary_table("", rows(Summary(Added(10_000, 0, 0), view, 9_999, 60.0, Exit.DEAD)), console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert "stopped 9,998 99.9%" in lines
    assert "forbidden 1 <0.1% reaper dead list --outcome forbidden" in lines
