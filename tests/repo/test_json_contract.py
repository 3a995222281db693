"""The pages and schemas of JSON are as generated, and their tables name what the code has."""

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import reaper
from reaper.cli.verbs import VERBS
from reaper.telemetry import events
from tests.support.json_contract import check_lines, check_output, document_of
from tools.json_contract.documents import DOCUMENTS
from tools.json_contract.events import EVENTS
from tools.json_contract.write import SCHEMAS, document_schema, files
from tools.public_interface import call_sites, event_names

WITHOUT = {"run", "exec", "health", "demo", "completion", "systemd"}
"""Commands that print no JSON document of their own."""


def test_the_files_are_as_generated() -> None:
    assert {path: path.read_text() for path in files()} == files()
    assert set(SCHEMAS.glob("*.json")) == {path for path in files() if path.parent == SCHEMAS}


def test_every_schema_is_one() -> None:
    for name in DOCUMENTS:
        Draft202012Validator.check_schema(document_schema(name))


def test_every_command_has_its_document() -> None:
    described = {document.command.split()[1] for document in DOCUMENTS.values() if "reaper" in document.command}
    assert described - VERBS.keys() == set()
    assert VERBS.keys() - described == WITHOUT


def test_every_event_is_described_with_each_field_that_the_source_gives() -> None:
    names = {value for name, value in vars(events).items() if name.isupper()}
    assert names == EVENTS.keys()
    for line in call_sites(event_names()):
        name, _, fields = line.partition(": ")
        assert set(fields.split()) - {"**", "exc_info"} <= EVENTS[name].keys.keys(), name


def test_every_event_is_logged_at_a_level_that_the_page_names() -> None:
    """As far as the source says it: `log.warning(events.X, …)`."""
    constants = {constant: event for event, constant in event_names().items()}
    sources = "\n".join(path.read_text() for path in Path(reaper.__file__).parent.rglob("*.py"))
    logged = re.findall(r"\.(debug|info|warning|error|critical)\(\s*events\.([A-Z_]+)", sources)
    assert len({constant for _, constant in logged}) > 30
    for level, constant in logged:
        assert level in re.findall(r"\w+", EVENTS[constants[constant]].level), f"{constant} is logged as {level}"


def test_every_event_and_field_has_a_meaning() -> None:
    assert [
        name for name, event in EVENTS.items() if not all([event.text, *(one.text for one in event.keys.values())])
    ] == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("status", "--json"), "status"),
        (("--queue", "sqlite:///x", "dead", "list", "--json"), "dead-list"),
        (("once", "--dry-run", "--json", "ids"), "once-dry-run"),
        (("show", "status", "--json"), "show"),
    ],
)
def test_the_document_of_a_command_line_is_known(words: tuple[str, ...], name: str) -> None:
    assert document_of(words) == name


def test_a_key_too_many_or_too_few_is_a_fault() -> None:
    check_output(("resume", "--json"), '{"paused": false, "was_paused": true}')
    for line in (
        '{"paused": false}',
        '{"paused": false, "was_paused": true, "new": 1}',
        '{"paused": false, "was_paused": 1}',
    ):
        with pytest.raises(AssertionError, match=r"not as docs/json\.md says"):
            check_output(("resume", "--json"), line)


def test_a_log_line_is_checked_by_its_event() -> None:
    head = '{"timestamp": "2026-01-01T00:00:00.000000Z", "level": "info", "event"'
    check_lines(
        f'{head}: "account.pinned", "account": "a"}}\nplain text\n{head}: "a sentence", "logger": "x", "y": 1}}'
    )
    with pytest.raises(AssertionError, match="account"):
        check_lines(f'{head}: "account.pinned"}}')
