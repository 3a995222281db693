"""Statements from a packaged `.sql` file."""

import sys
from pathlib import Path

import pytest

from reaper.queues.statements import load_statements

SQL = """\
-- What is here belongs to no statement.

-- name: open
outcome IS NULL AND {AT} <= ?

-- name: count
-- A comment on a line of its own.
SELECT count(*) FROM item
WHERE {open} AND note <> '{}' AND json_extract(note, '$[0]') = 1;
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "packaged_sql"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "some.sql").write_text(SQL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "packaged_sql", raising=False)
    return "packaged_sql"


def test_statements_are_named_and_made_of_fragments(package: str) -> None:
    assert load_statements(package, "some.sql", AT="due_at") == {
        "open": "outcome IS NULL AND due_at <= ?",
        "count": "SELECT count(*) FROM item\n"
        "WHERE outcome IS NULL AND due_at <= ? AND note <> '{}' AND json_extract(note, '$[0]') = 1",
    }


def test_an_unknown_fragment_is_found_at_import(package: str) -> None:
    with pytest.raises(KeyError, match="AT"):
        load_statements(package, "some.sql")
