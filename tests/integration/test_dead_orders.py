"""`dead` and `outcomes` over many IDs, in this process: what they print, choose and delete."""

from __future__ import annotations

import csv
import io
import json

import pytest

from reaper.core.model import Outcome
from tests.support.desk import Desk

MANY = 25


def fill_dead(desk: Desk) -> None:
    """Three kinds of dead letters from two files, and a stopped session."""
    desk.add(4, "/srv/a.ids", "a_")
    desk.add(1, "/srv/b.ids", "b_")
    message = '{"error":"unprocessable_entity","code":"UNPROCESSABLE_ENTITY","message":"The sandbox is bu'
    desk.settle(
        (Outcome.REJECTED, 422, message),
        (Outcome.REJECTED, 422, "The sandbox is busy"),
        (Outcome.EXHAUSTED, 503, None),
        (Outcome.STOPPED, 204, None),
        (Outcome.FORBIDDEN, 403, "=HYPERLINK(1)"),
    )


def test_dead_letters_are_shown_with_the_apis_message_and_counted_by_kind(desk: Desk) -> None:
    fill_dead(desk)
    code, out, err = desk.run("dead list")
    assert code == 0
    rows, totals = out.split("\n\n")
    assert [line.split()[0] for line in rows.splitlines()] == ["session", "a_000", "a_001", "a_002", "b_000"]
    assert rows.splitlines()[1].endswith("The sandbox is bu…")
    assert "{" not in out
    assert [line.split() for line in totals.splitlines()] == [
        ["count", "outcome", "status"],
        ["2", "rejected", "422"],
        ["1", "exhausted", "503"],
        ["1", "forbidden", "403"],
    ]
    assert "4 dead; to try one again: reaper dead retry ID; all of these: reaper dead retry --all\n" in err
    code, out, err = desk.run("dead list --limit 1")
    assert [line.split()[0] for line in out.splitlines() if line] == ["session", "a_000", "count", "2", "1", "1"]
    assert "4 dead, of which the first 1 are shown" in err
    assert desk.run("dead list --source b.ids")[1].splitlines()[1].startswith("b_000")
    assert desk.run("dead list --source c.ids")[1] == "there are no dead letters of this kind\n"
    assert desk.run("dead list --since 1h --outcome exhausted")[1].splitlines()[1].startswith("a_002")
    listed = [json.loads(line) for line in desk.run("dead list --json --limit 2")[1].splitlines()]
    assert [(row["session_id"], row["detail"]) for row in listed] == [
        ("a_000", "The sandbox is bu…"), ("a_001", "The sandbox is busy"),
    ]  # fmt: skip
    code, out, err = desk.run("dead list b_000 a_003")
    assert (code, out.splitlines()[1].split()[0]) == (3, "b_000")
    assert "a_003 is not among these dead letters" in err


def test_a_long_list_is_printed_page_by_page_under_one_head(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reaper.cli.rows.MEASURED", 2)
    fill_dead(desk)
    out = desk.run("dead list")[1]
    assert [line.split()[0] for line in out.split("\n\n")[0].splitlines()] == [
        "session",
        "a_000",
        "a_001",
        "a_002",
        "b_000",
    ]


def test_purge_asks_when_much_would_be_deleted(desk: Desk) -> None:
    desk.add()
    desk.settle(*[(Outcome.REJECTED, 422, None)] * MANY)
    code, out, err = desk.run("dead purge --all")
    assert (code, out) == (2, "")
    assert "purge 25 IDs (25 rejected)? There is no terminal" in err
    assert desk.run("dead purge --all --dry-run")[:2] == (0, "dry run: 25 would be deleted; their counts stay\n")
    assert desk.run("dead retry --all --dry-run")[:2] == (
        0, "dry run: 25 would be due now, in a new round\n",
    )  # fmt: skip
    stats = desk.use(lambda queue: queue.stats())
    assert stats.dead == MANY
    named = [f"env_{number:03d}" for number in range(22)]
    assert desk.run("dead purge", *named)[:2] == (0, "22 deleted; their counts stay\n"), "each was named"
    assert desk.json("dead purge --all") == {"purged": 3, "refused": [], "dry_run": False, "interrupted": False}
    assert desk.open_ids() == 0


def test_outcomes_are_chosen_by_id_and_number_and_written_for_a_spreadsheet(desk: Desk) -> None:
    fill_dead(desk)
    desk.add(1, "/srv/open.ids", "open_")
    code, out, err = desk.run("outcomes a_003 open_000 b_000")
    assert (code, [line.split()[-1] for line in out.splitlines()]) == (3, ["a_003", "=HYPERLINK(1)"])
    assert "open_000 is not among these outcomes; see: reaper show open_000" in err
    assert len(desk.run("outcomes --limit 2")[1].splitlines()) == 2
    assert desk.run("outcomes --limit 9 --outcome stopped")[1].split()[-1] == "a_003"
    rows = list(csv.DictReader(io.StringIO(desk.run("outcomes --csv")[1])))
    assert list(rows[0]) == ["session_id", "outcome", "status", "attempts", "source", "settled_at", "detail"]
    assert [(row["session_id"], row["status"], row["detail"]) for row in rows] == [
        ("a_000", "422", "The sandbox is bu…"), ("a_001", "422", "The sandbox is busy"), ("a_002", "503", ""),
        ("a_003", "204", ""), ("b_000", "403", "'=HYPERLINK(1)"),
    ]  # fmt: skip
