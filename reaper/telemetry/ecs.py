"""Renames the fields of a log event to those of the Elastic Common Schema (`telemetry.log_schema = "ecs"`).

The common fields come first and with dots in their names, as the ECS logging libraries write them. What the schema has
no field for stands under `reaper.`. Fields without a value are left out.
"""

from __future__ import annotations

from typing import Any

from reaper.core.version import __version__
from reaper.telemetry.structlog_without_rich import EventDict

ECS_VERSION = "8.11.0"
FIELDS = {
    "api": "url.full",
    "by": "user.name",
    "error": "error.message",
    "exception": "error.stack_trace",
    "exit": "process.exit_code",
    "logger": "log.logger",
    "pid": "process.pid",
    "request_id": "http.request.id",
    "status": "http.response.status_code",
    "version": "service.version",
}
"""The field of the schema for each of ours that has one with the same meaning and type."""
DURATION = "event.duration"
"""Our `duration_s`, in nanoseconds."""


def as_ecs(event: EventDict) -> dict[str, Any]:
    """Return an event under the names of the schema; the message is its `detail`, else its name."""
    fields = dict(event)
    name, level = fields.pop("event", ""), fields.pop("level", "info")
    renamed: dict[str, Any] = {
        "@timestamp": fields.pop("timestamp", None),
        "log.level": level,
        "message": fields.pop("detail", None) or fields.get("error") or name,
        "ecs.version": ECS_VERSION,
        "service.name": "reaper",
        "service.version": __version__,
        "event.dataset": "reaper.log",
    }
    if "logger" not in fields:  # of a library's record the event is its sentence
        renamed["event.action"] = name
    duration_s = fields.pop("duration_s", None)
    if isinstance(duration_s, int | float):
        renamed[DURATION] = round(duration_s * 1e9)
    for key, value in fields.items():
        if value is not None:
            renamed[FIELDS.get(key, f"reaper.{key}")] = value
    return renamed
