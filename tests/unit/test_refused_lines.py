"""Refused lines in the log: a few by name, the rest as a count, whatever the sources are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from reaper.queues.values import Added, InvalidLine
from reaper.telemetry.intake_log import MAX_REFUSED_LOGGED, MAX_SOURCES, LogReport, RefusedLines


class Meter:
    def imported(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None:
        pass

    def intake_files(self, missing: int, spool: Mapping[str, int]) -> None: ...


def lines(count: int, begin: int = 1) -> list[InvalidLine]:
    return [InvalidLine(number, "no ID", "?") for number in range(begin, begin + count)]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, object]]:
    found: list[tuple[str, str, object]] = []

    class Log:
        def warning(self, event: str, source: str, **facts: object) -> None:
            found.append((event, source, facts.get("lines", facts.get("line"))))

        info = warning

    monkeypatch.setattr("reaper.telemetry.intake_log.get", Log)
    return found


def test_a_daemon_names_the_first_of_a_source_and_counts_the_others_once_a_poll(
    logged: list[tuple[str, str, object]],
) -> None:
    report = LogReport(Meter(), lambda: None, lambda _: None)
    for poll in range(3):
        report.invalid("a", lines(30, 30 * poll + 1))
        report.invalid("a", lines(5))
        report.imported("file", "a", Added(0, 0, 35))
    report.invalid("b", lines(1))
    events = Counter(event for event, source, _ in logged if source == "a")
    assert events == {"intake.line_invalid": MAX_REFUSED_LOGGED, "intake.lines_invalid": 3, "intake.imported": 3}
    assert [count for event, _, count in logged if event == "intake.lines_invalid"] == [15, 35, 35]
    assert ("intake.line_invalid", "b", 1) in logged


def test_only_the_newest_sources_are_remembered(logged: list[tuple[str, str, object]]) -> None:
    refused = RefusedLines()
    refused.log("spool/new/first", lines(MAX_REFUSED_LOGGED))
    for number in range(MAX_SOURCES):
        refused.log(f"spool/new/{number}", lines(1))
    logged.clear()
    refused.log("spool/new/first", lines(1))
    assert [event for event, _, _ in logged] == ["intake.line_invalid"]
    refused.log(f"spool/new/{MAX_SOURCES - 1}", lines(MAX_REFUSED_LOGGED))
    assert len(logged) == MAX_REFUSED_LOGGED
