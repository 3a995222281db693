"""`reaper audit` in words: the verdict first, and the figures where somebody needs them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.cli.commands.ledger import print_audit
from reaper.core.model import Audit
from reaper.queues.accounting import LedgerCounts, balance_checks, ledger_stats

COUNTS = {"accepted": 515, "settled.stopped": 484, "settled.already_gone": 26, "settled.forbidden": 5}


def audit(counts: dict[str, int], **changed: int) -> Audit:
    ledger = LedgerCounts(counts, {}, 0, 0, counts.get("accepted", 0), 0, 0, 0, 0)
    stats = ledger_stats(
        counts,
        ready=0,
        scheduled=0,
        retrying=0,
        in_flight=0,
        oldest_due_s=0.0,
        next_scheduled_at=None,
        next_retry_at=None,
    )
    lines = tuple(replace(line, right=line.left) for line in balance_checks(ledger))
    lines = tuple(replace(line, right=changed.get(line.name.split()[0], line.right)) for line in lines)
    return Audit(stats, lines)


def printed(capsys: pytest.CaptureFixture[str], one: Audit, *, verbose: bool = False) -> list[str]:
    print_audit(one, verbose)
    return capsys.readouterr().out.splitlines()


def test_figures_that_have_no_room_in_columns_have_a_sentence_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    lines = printed(capsys, audit(COUNTS), verbose=True)
    assert max(map(len, lines)) <= 40
    assert lines[3:6] == ["", "ok     accepted = settled + waiting + in", "       flight: counted 515, found 515"]


def test_books_that_balance_take_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, audit(COUNTS)) == [
        "the books balance: 515 accepted = 484 stopped + 26 already gone + 5 forbidden"
    ]
    assert printed(capsys, audit({})) == ["the books balance: nothing was accepted yet"]
    duplicates = {"duplicate": 1, "invalid": 2, **COUNTS}
    assert printed(capsys, audit(duplicates))[0].endswith(
        "; beside them 1 duplicate and 2 invalid lines, never accepted"
    )


def test_all_figures_follow_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, audit(COUNTS), verbose=True)
    assert lines[1:4] == [
        "",
        "    equation                                               counted  found",
        "ok  accepted = settled + waiting + in flight                   515    515",
    ]
    assert len(lines) == 3 + len(audit({}).lines)


def test_books_that_do_not_balance_show_the_faults_first(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, audit(COUNTS, stopped=1_483))
    assert lines[0] == f"THE BOOKS DO NOT BALANCE: 2 figures differ of {len(audit({}).lines)}"
    assert lines[1:4] == [
        "  stopped = rows kept + pruned + re-opened: counted 484, found 1,483",
        "  stopped = answers 2xx recorded: counted 484, found 1,483",
        "",
    ]
    assert [line.split()[0] for line in lines[5:]].count("FAULT") == 2
    assert len(lines) == 5 + len(audit({}).lines)
