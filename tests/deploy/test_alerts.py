"""The alert rules: sound, tested, about series that exist, each with its paragraph in the runbook."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from reaper.cli.arguments import parse
from reaper.settings.reference import setting_specs
from reaper.telemetry import events
from tests.support.deploy.monitoring import COMPONENT, ROOT, RULES, alerts, groups, run, selectors, unknown
from tests.support.programs import need

CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
RUNBOOK = ROOT / "docs" / "runbook.md"
NAMES = sorted(alerts())


def test_the_rules_are_sound() -> None:
    done = run(need("promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)  # promtool evaluates days, minute by minute
@pytest.mark.parametrize("cases", CASES, ids=[path.stem for path in CASES])
def test_the_rules_do_what_their_cases_say(cases: Path) -> None:
    done = run(need("promtool"), "test", "rules", str(cases))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def evaluations() -> list[tuple[str, dict[str, Any], bool]]:
    """Return (alert, test group, whether it is expected to fire) for each expression of the cases."""
    found = []
    for path in CASES:
        for group in yaml.safe_load(path.read_text())["tests"]:
            for one in group["promql_expr_test"]:
                (name,) = re.findall(r'alertname="(\w+)"', one["expr"])
                if 'alertstate="pending"' not in one["expr"]:
                    found.append((name, group, bool(one["exp_samples"])))
    return found


def test_every_alert_has_a_case_of_firing_and_one_of_silence() -> None:
    """A case of silence is a test group of its own: before a `for` is over every alert is silent."""
    fires = {name for name, _, firing in evaluations() if firing}
    loud = {(name, group["name"]) for name, group, firing in evaluations() if firing}
    silent = {name for name, group, _ in evaluations() if (name, group["name"]) not in loud and group["input_series"]}
    assert sorted(fires) == NAMES
    assert sorted(silent) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_an_alert_tells(name: str) -> None:
    rule = alerts()[name]
    assert name.startswith("Reaper")
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook"}
    assert notes["runbook"] == f"docs/runbook.md#{name.lower()}"
    assert len(notes["summary"]) <= 100
    assert not notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert "://" not in str(rule), "no host may be invented"
    # Only an absence has no instance to name.
    assert ("$labels.instance" in notes["summary"]) == ("absent(" not in rule["expr"])


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_about_series_that_exist(name: str) -> None:
    expression = alerts()[name]["expr"]
    assert list(selectors(expression)) or "up{" in expression
    assert unknown(expression) == []


def test_the_operators_resource_holds_the_same_groups() -> None:
    resource = yaml.safe_load((COMPONENT / "prometheusrule.yaml").read_text())
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"] == {"groups": groups()}, (
        f"{COMPONENT.name}/prometheusrule.yaml differs from {RULES.name}: copy the groups, two columns further right"
    )


# --- the runbook --------------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """Return the runbook's text by heading."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.M)[1:]
    assert max(Counter(parts[::2]).values()) == 1, "two headings have one anchor"
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_runbook_has_one_section_for_each_alert_and_no_other() -> None:
    assert sorted(sections()) == NAMES
    for name, text in sections().items():
        assert len(text.strip().split("\n\n")) <= 3, f"{name}: more than three causes that need an answer of their own"
    assert list(sections()) == [rule["alert"] for group in groups() for rule in group["rules"]], "another order"


@pytest.mark.parametrize("name", NAMES)
def test_the_runbook_names_commands_that_exist(name: str) -> None:
    commands = re.findall(r"`(reaper [^`]+)`", sections()[name])
    assert commands, "a paragraph without a command helps nobody at night"
    for command in commands:
        parse(shlex.split(command)[1:])  # exits when there is no such verb or option


def test_the_runbook_names_events_settings_and_anchors_that_exist() -> None:
    text = RUNBOOK.read_text()
    known = {value for name, value in vars(events).items() if name.isupper()} | set(setting_specs())
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", text))
    assert named - known == set()
    assert {"intake.line_invalid", "worker.concurrency"} <= named, "the pattern finds nothing"
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= {name.lower() for name in sections()}
