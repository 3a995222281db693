"""The metrics page of a real daemon: lint, and the table in docs/monitoring.md."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Metric

from tests.support.deploy.monitoring import ROOT, exposition, families, run
from tests.support.programs import need

DOC = ROOT / "docs" / "monitoring.md"
FREE = {"version", "python", "api", "account", "queue"}
"""Labels whose values are the installation's own; of all others the values are listed."""


def test_the_page_passes_the_lint() -> None:
    page = exposition()
    assert "reaper_build_info{" in page, "an empty page passes any lint"
    done = run(need("promtool"), "check", "metrics", stdin=page)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lint_finds_something_where_there_is_something() -> None:
    done = run(need("promtool"), "check", "metrics", stdin="# TYPE reaper_sends counter\nreaper_sends 1\n")
    assert done.returncode != 0
    assert "_total" in done.stdout + done.stderr


def row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    values: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le" and value not in values.setdefault(label, []):
                values[label].append(value)
    labels = "; ".join(
        f"`{label}`" if label in FREE else f"`{label}`: {', '.join(found)}" for label, found in sorted(values.items())
    )
    return f"| `{name}` | {family.type} | {labels or '–'} | {family.documentation} |"


def test_the_table_is_what_the_daemon_shows() -> None:
    wanted = "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *map(row, families())])
    found = re.findall(r"<!-- metrics:[^\n]*-->\n(.*)<!-- /metrics -->", DOC.read_text(), flags=re.S)
    assert len(found) == 1
    if found[0].strip() != wanted:
        pytest.fail(f"{DOC.relative_to(ROOT)} is out of date; between its markers belongs:\n{wanted}")
