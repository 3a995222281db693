"""What the tests of alerts, dashboard and metrics share: the rules, a daemon's `/metrics`, what a query names."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.eventually import eventually
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon, page, watch
from tests.support.sandbox import running_sandbox

ROOT = Path(__file__).parents[3]
RULES = ROOT / "config" / "prometheus" / "reaper.rules.yaml"
COMPONENT = ROOT / "kubernetes" / "components" / "monitoring"

_METRIC = re.compile(r"\b((?:reaper|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
TARGET_LABELS = {"job", "instance", "pod"}
"""Labels that Prometheus or its operator adds; `le` aside, every other one is the daemon's own."""


def groups() -> list[dict[str, Any]]:
    """Return the groups of the rule file."""
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name; fails when two have the same."""
    rules = [rule for group in groups() for rule in group["rules"]]
    found = {rule["alert"]: rule for rule in rules}
    assert len(found) == len(rules), "two alerts have one name"
    return found


@cache
def exposition() -> str:
    """Return `/metrics` of a real daemon that has just started."""
    with tempfile.TemporaryDirectory() as home, running_sandbox(1) as sandbox:
        command = Command(Path(home))
        watch(command, sandbox)
        with daemon(command):
            eventually(lambda: page(command, "/metrics")[0] == 200)
            return page(command, "/metrics")[1]


def families() -> list[Metric]:
    """Return the metrics of that page."""
    return list(text_string_to_metric_families(exposition()))


def label_values() -> dict[str, dict[str, set[str]]]:
    """Return, by the name of a series, the values that each of its labels has."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for sample in (sample for family in families() for sample in family.samples):
        for label, value in sample.labels.items():
            found[sample.name][label].add(value)
        found[sample.name]  # one without labels counts too
    return found


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield each metric that a query names, with its matchers (label, operator, value)."""
    for name, matchers in _METRIC.findall(expression):
        yield name, _MATCHER.findall(matchers)


def unknown(expression: str) -> list[str]:
    """Return what a query names that no daemon has: metrics, labels, values of labels."""
    known = label_values()
    wrong = []
    for name, matchers in selectors(expression):
        if name not in known:
            wrong.append(name)
            continue
        for label, operator, value in matchers:
            if label in TARGET_LABELS:
                continue
            wanted = value.split("|") if "~" in operator else [value]
            wrong += [f"{name}{{{label}={one!r}}}" for one in wanted if one not in known[name].get(label, set())]
    return wrong


def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool in the project's root."""
    return subprocess.run(
        words, cwd=ROOT, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True,
        text=True, timeout=240, check=False,
    )  # fmt: skip
