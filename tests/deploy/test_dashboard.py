"""The dashboard: its queries are sound and about series that exist, every metric has a panel; and its component."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.deploy.monitoring import COMPONENT, ROOT, families, groups, run, selectors, unknown
from tests.support.docs.blocks import block
from tests.support.programs import need

FILE = COMPONENT / "reaper-dashboard.json"
BOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]


def plain(expression: str) -> str:
    """Return a query as Grafana sends it."""
    sent = expression.replace("$__rate_interval", "2m").replace("$instance", ".*")
    assert "$" not in sent, f"an unknown variable in {expression}"
    return sent


def test_the_queries_parse(tmp_path: Path) -> None:
    rules = [{"record": f"panel:query_{number}", "expr": plain(one)} for number, one in enumerate(expressions())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = run(need("promtool"), "check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@pytest.mark.parametrize("expression", QUERIES)
def test_a_query_is_about_series_that_exist_of_the_chosen_instances(expression: str) -> None:
    found = list(selectors(expression))
    assert found
    for name, matchers in found:
        chosen = {label: (operator, value) for label, operator, value in matchers}
        assert chosen["job"] == ("=", "reaper"), name
        assert chosen["instance"] == ("=~", "$instance"), name
    assert unknown(expression) == []


def test_every_metric_has_a_panel() -> None:
    shown = {name for expression in expressions() for name, _ in selectors(expression)}
    for family in families():
        names = {sample.name for sample in family.samples}
        assert names <= shown, f"no panel shows {sorted(names - shown)}"


def test_the_reader_chooses_data_source_and_instances() -> None:
    assert list(VARIABLES) == ["datasource", "instance"]
    assert (VARIABLES["datasource"]["type"], VARIABLES["datasource"]["query"]) == ("datasource", "prometheus")
    instance = VARIABLES["instance"]
    assert instance["multi"]
    assert instance["includeAll"]
    assert instance["query"]["query"] == instance["definition"]
    (asked,) = re.findall(r"label_values\((.+), instance\)", instance["definition"])
    assert unknown(asked) == []
    sources = {json.dumps(one["datasource"]) for panel in PANELS for one in (panel, *panel["targets"])}
    assert sources | {json.dumps(instance["datasource"])} == {'{"type": "prometheus", "uid": "${datasource}"}'}


def test_the_panels_lie_side_by_side_with_a_title_each() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    for one in panels:
        assert 0 <= one["gridPos"]["x"] < one["gridPos"]["x"] + one["gridPos"]["w"] <= 24, one["title"]
    for one, other in combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, f"{one['title']} covers {other['title']}"


# --- the component ------------------------------------------------------------------------------------------------


def built() -> dict[str, dict[str, Any]]:
    done = run(need("kubectl"), "kustomize", str(COMPONENT))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {resource["kind"]: resource for resource in yaml.safe_load_all(done.stdout)}


def test_the_component_builds_all_three() -> None:
    resources = built()
    assert sorted(resources) == ["ConfigMap", "PodMonitor", "PrometheusRule"]
    board = resources["ConfigMap"]
    assert board["metadata"] == {"name": "reaper-dashboard", "labels": {"grafana_dashboard": "1"}}
    assert board["data"] == {FILE.name: FILE.read_text()}
    assert resources["PrometheusRule"]["spec"] == {"groups": groups()}


def test_the_pod_monitor_gives_the_job_its_name() -> None:
    """The operator takes the job's name from the label `jobLabel` names; the pods' value of it is `reaper`."""
    spec = built()["PodMonitor"]["spec"]
    assert spec["selector"] == {"matchLabels": {spec["jobLabel"]: "reaper"}}
    assert [(one["port"], one["path"]) for one in spec["podMetricsEndpoints"]] == [("metrics", "/metrics")]


def doc_block(begin: str) -> str:
    """Return the one block of docs/monitoring.md that begins so."""
    return block("docs/monitoring.md", begin=begin)


def test_the_docs_tell_how_to_name_and_patch_it(tmp_path: Path) -> None:
    named, patched = yaml.safe_load(doc_block("components:")), doc_block("patches:")
    assert (ROOT / "kubernetes" / "overlays" / "one" / named["components"][0]).resolve() == COMPONENT
    way = os.path.relpath(COMPONENT, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(f"components: [{way}]\n{patched}")
    done = run(need("kubectl"), "kustomize", str(tmp_path))
    assert done.returncode == 0, done.stderr
    labels = {one["kind"]: one["metadata"]["labels"] for one in yaml.safe_load_all(done.stdout)}
    assert labels["PodMonitor"]["release"] == labels["PrometheusRule"]["release"] == "prometheus"


def test_the_docs_scrape_configuration_is_sound(tmp_path: Path) -> None:
    scrape = doc_block("scrape_configs:")
    (tmp_path / "prometheus.yml").write_text(scrape)
    done = run(need("promtool"), "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [job["job_name"] for job in yaml.safe_load(scrape)["scrape_configs"]] == ["reaper"]
