"""The parts of tools/public_interface.py that need no run find what is known to be there."""

from __future__ import annotations

from pathlib import Path

from tools import public_interface as interface
from tools.public_runs import World, command


def test_the_library_has_its_names() -> None:
    found = interface.library()
    assert "class UsageError(ReaperError)" in found
    assert "  field already_gone: int" in found
    assert any(line.startswith("open(**options:") for line in found)


def test_the_settings_come_with_their_defaults() -> None:
    names, words = interface.settings()
    assert 'worker.concurrency {"default": 32, "maximum": 1000, "minimum": 1, "type": "integer"}' in names
    assert any(line.startswith("worker.concurrency: ") for line in words)


def test_the_events_are_those_of_the_code_and_the_documents() -> None:
    events = interface.event_names()
    assert {"session.settled", "queue.recovered", "config.refused"} <= events.keys()
    documented, _ = interface.documented_events()
    assert "intake.line_invalid (warning): line reason source text" in documented
    fields = dict(line.split(":") for line in interface.call_sites(events))
    assert {"signal", "within_s"} <= set(fields["reaper.draining"].split())


def test_a_help_text_has_its_options() -> None:
    found = interface.usage(command("dead", "retry", "--help").stdout)
    assert found[0].startswith("usage: reaper dead retry [--outcome OUTCOME]")
    assert {"  --reason=", "  --all", "  -q, --quiet"} <= set(found)


def test_a_metric_has_its_labels() -> None:
    page = "# HELP a_total Many.\n# TYPE a_total counter\n" + 'a_total{of="x"} 1.0\na_total{of="y"} 2.0\n'
    assert interface.metrics(page) == ["a_total counter of=x,y"]


def test_a_document_is_known_by_its_shape() -> None:
    at = World(Path(), {}, ids=["env_1"])
    for due in (None, 1.5):
        at.shape("show", {"state": "ready", "due": due, "sends": [{"status": 204}], "rules": {"env_1": True}})
    assert at.shapes["show"] == {
        ".": {"object"},
        ".state": {"'ready'"},
        ".due": {"null", "number"},
        ".sends": {"list"},
        ".sends[]": {"object"},
        ".sends[].status": {"number"},
        ".rules": {"object"},
        ".rules.ID": {"bool"},
    }
