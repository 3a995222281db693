"""A plugin of pytest that writes the result of each test as a JSON line, for `prove` to read.

It distinguishes a test that failed because something was not as it must be from one that could not run at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest

FILE = "PROOF_VERDICTS"
"""The environment variable that names the file to write to."""


def _innermost(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _innermost(inner)
    else:
        yield error


def kind_of(error: BaseException) -> str:
    """Return `unmet` when the error says that something was not as it must be, else the error's name.

    A timeout is not enough: whatever hangs the test would pass for proof.
    """
    names = []
    for one in _innermost(error):
        if isinstance(one, pytest.fail.Exception):
            names.append("timeout" if str(one).startswith("Timeout") else "unmet")
        else:
            names.append("unmet" if isinstance(one, AssertionError) else type(one).__name__)
    return "unmet" if names and set(names) == {"unmet"} else ", ".join(sorted(set(names) - {"unmet"}))


def _write(**fields: Any) -> None:
    with open(os.environ[FILE], "a", encoding="utf-8") as file:
        file.write(json.dumps(fields) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down a phase of a test."""
    report = yield
    if report.when == "call" or not report.passed:
        kind = kind_of(call.excinfo.value) if call.excinfo is not None and report.failed else ""
        _write(test=item.nodeid, when=report.when, outcome=report.outcome, kind=kind)
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Write down a file that could not be collected."""
    if report.failed:
        _write(test=report.nodeid, when="collect", outcome="failed", kind="could not be collected")
