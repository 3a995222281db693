"""`telemetry.log_schema = "ecs"`: log events under the names of the Elastic Common Schema."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reaper.telemetry import events, logs
from reaper.telemetry.ecs import DURATION, FIELDS, as_ecs
from tools.json_contract.events import EVENTS

PUBLISHED = {
    "@timestamp": "date",
    "ecs.version": "keyword",
    "error.message": "text",
    "error.stack_trace": "text",
    "event.action": "keyword",
    "event.dataset": "keyword",
    "event.duration": "long",
    "http.request.id": "keyword",
    "http.response.status_code": "long",
    "log.level": "keyword",
    "log.logger": "keyword",
    "message": "text",
    "process.exit_code": "long",
    "process.pid": "long",
    "service.name": "keyword",
    "service.version": "keyword",
    "url.full": "keyword",
    "user.name": "keyword",
}
"""The names and types that we use, as https://www.elastic.co/docs/reference/ecs/ecs-field-reference lists them."""
REQUIRED = ["@timestamp", "log.level", "message", "ecs.version"]
"""Of the specification of the ECS logging libraries, in the order that it asks for."""
DOC = Path(__file__).parents[2] / "docs" / "monitoring.md"


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_field_of_every_event_has_a_published_name_or_one_of_ours(name: str) -> None:
    event: dict[str, Any] = {"event": name, "level": "info", "timestamp": "2026-11-30T00:00:00Z"}
    event |= dict.fromkeys(EVENTS[name].keys, 1)
    found = as_ecs(event)
    assert list(found)[:4] == REQUIRED
    unknown = {field for field in found if field not in PUBLISHED and not field.startswith("reaper.")}
    assert unknown == set()
    assert found["event.action"] == name
    for field in EVENTS[name].keys.keys() - {"detail", "duration_s"}:
        assert FIELDS.get(field, f"reaper.{field}") in found


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_field_of_the_schema_has_its_type(name: str) -> None:
    json_types = {"long": "integer", "keyword": "string", "text": "string"}
    for field, key in EVENTS[name].keys.items():
        if field in FIELDS:
            types = key.kind.get("type", [])
            known = {types} if isinstance(types, str) else set(types)
            assert known - {"null"} <= {json_types[PUBLISHED[FIELDS[field]]]}, f"{name}: {field}"


def test_a_line_is_json_and_holds_no_secret() -> None:
    stream = io.StringIO()
    settings = SimpleNamespace(log_format="json", log_level="info", log_schema="ecs")
    logs.configure(settings, stream, secrets=lambda: ('sec"ret',))
    try:
        logs.get().info(
            events.SESSION_SETTLED, session_id="env_1", status=204, duration_s=0.25, source='sec"ret', request_id=None
        )
        logs.get().error(events.QUEUE_UNAVAILABLE, detail='gone, says sec"ret')
    finally:
        logs.reset()
    settled, gone = map(json.loads, stream.getvalue().splitlines())
    assert settled.pop("@timestamp").endswith("Z")
    assert (settled["log.level"], settled["message"], settled["event.action"]) == ("info", *["session.settled"] * 2)
    assert (settled["http.response.status_code"], settled[DURATION]) == (204, 250_000_000)
    assert (settled["reaper.session_id"], settled["reaper.source"]) == ("env_1", "********")
    assert "http.request.id" not in settled
    assert (gone["log.level"], gone["message"], gone["event.action"]) == (
        "error",
        "gone, says ********",
        events.QUEUE_UNAVAILABLE,
    )


def test_a_record_of_a_library_is_no_event_of_ours() -> None:
    found = as_ecs({"event": "a sentence", "logger": "httpx", "level": "warning", "timestamp": "t"})
    assert (found["message"], found["log.logger"]) == ("a sentence", "httpx")
    assert "event.action" not in found


def test_the_table_of_the_docs_is_the_code() -> None:
    (table,) = re.findall(r"<!-- ecs:[^\n]*-->\n(.*)<!-- /ecs -->", DOC.read_text(), flags=re.DOTALL)
    rows = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)`", table, flags=re.MULTILINE))
    assert rows == FIELDS | {"duration_s": DURATION}
