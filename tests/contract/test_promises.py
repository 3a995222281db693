"""The table of docs/queues.md says of each engine what its harness says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.queues.harness import SqliteHarness
from tests.support.queues.postgres_harness import PostgresHarness
from tests.support.queues.redis_harness import RedisHarness

DOC = Path(__file__).parents[2] / "docs" / "queues.md"
CANNOT = {"SQLite": SqliteHarness.cannot, "PostgreSQL": PostgresHarness.cannot, "Redis": RedisHarness.cannot}
MARKED = {"what a dead process held is free at once": "death", "`reaper queue backup`": "backup"}
"""The rows that an engine may not promise, by the word of `Harness.cannot`."""


def table() -> dict[str, dict[str, str]]:
    (text,) = re.findall(r"<!-- promises:[^\n]*-->\n(.*)<!-- /promises -->", DOC.read_text(), flags=re.S)
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


@pytest.mark.parametrize("engine", CANNOT)
def test_the_table_promises_what_the_harness_does(engine: str) -> None:
    said_no = {promise for promise, cells in table().items() if not cells[engine].startswith("yes")}
    assert said_no == {promise for promise, word in MARKED.items() if word in CANNOT[engine]}
    assert CANNOT[engine] <= set(MARKED.values())
