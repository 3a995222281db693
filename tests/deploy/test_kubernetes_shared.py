"""The overlays of a shared queue: several pods, the way to the engine, and how many there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reaper.cli.arguments import parse
from reaper.queues.open import EXTRAS
from reaper.settings.load import load
from reaper.settings.schema import Settings
from tests.support.deploy.kube import (
    OVERLAYS,
    Overlay,
    overlay,
    scaled,
    scaling_faults,
)
from tests.support.deploy.monitoring import run, unknown
from tests.support.programs import need

SECRET_URL = "postgresql://reaper:secret@engine.example/reaper"
"""What the Secret reaper-queue has for its key `url` here."""
URL_VARIABLE = {"name": "REAPER_QUEUE__URL", "valueFrom": {"secretKeyRef": {"name": "reaper-queue", "key": "url"}}}


def settings_of(one: Overlay, folder: Path, url: str = SECRET_URL) -> Settings:
    """Read the overlay's reaper.toml as its container does: with its variables, and no others."""
    path = folder / "reaper.toml"
    path.write_text(one.toml)
    given = one.reaper.get("env", [])
    environ = {entry["name"]: url if entry == URL_VARIABLE else entry["value"] for entry in given}
    return load(path, parse(one.reaper["args"]).flags, environ).settings


@pytest.mark.parametrize("scheme", EXTRAS)
def test_the_url_of_the_secret_is_the_one_in_effect(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://reaper:secret@engine.example/0"
    assert settings_of(overlay("queue"), tmp_path, url).queue.url == url


def test_several_pods_share_the_queue_and_one_at_a_time_goes() -> None:
    rendered = overlay("queue")
    assert rendered.workload["kind"] == "Deployment"
    assert rendered.job["replicas"] >= 2
    (budget,) = rendered.kinds("PodDisruptionBudget")
    assert budget["spec"]["selector"] == rendered.job["selector"]
    assert budget["spec"]["maxUnavailable"] == 1
    # None is ready while the engine is away: no drain of a node has to wait for that.
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    (spread,) = rendered.spec["topologySpreadConstraints"]
    assert spread["labelSelector"] == rendered.job["selector"]


def test_the_way_to_the_engine_is_open_for_these_pods_alone() -> None:
    rendered = overlay("queue")
    (policy,) = (doc for doc in rendered.kinds("NetworkPolicy") if doc["metadata"]["name"] == "reaper-engine-queue")
    spec = policy["spec"]
    assert spec["podSelector"] == rendered.job["selector"]
    others = [overlay(one).labels for one in OVERLAYS if one != "queue"]
    assert not [labels for labels in others if spec["podSelector"]["matchLabels"].items() <= labels.items()]
    assert spec["policyTypes"] == ["Egress"]
    (rule,) = spec["egress"]
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {("TCP", 5432), ("TCP", 6379)}
    assert all(rule["to"]), "an empty target would be everything"
    assert not [to for to in rule["to"] if to.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0")]


def test_the_depth_of_the_queue_decides_how_many_pods_there_are() -> None:
    assert scaling_faults(scaled()) == []
    spec, workload = scaled()["spec"], overlay("queue").workload
    assert spec["scaleTargetRef"] == {"name": workload["metadata"]["name"]}
    # An apply sets the number in the Deployment: it must be one that KEDA may have chosen.
    assert 1 < spec["minReplicaCount"] == workload["spec"]["replicas"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    assert float(trigger["metadata"]["threshold"]) > 0
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert unknown(trigger["metadata"]["query"]) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [("spec/minReplicas", 2), ("spec/maxReplicaCount", "6"), ("spec/triggers/0/metadata/threshold", 5000)],
)
def test_a_slip_in_the_scaling_is_seen(place: str, value: object) -> None:
    slipped = yaml.safe_load(yaml.safe_dump(scaled()))
    *way, last = place.split("/")
    target = slipped
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    target[last] = value
    assert len(scaling_faults(slipped)) == 1


def test_the_depth_is_counted_once_and_unknown_while_nobody_knows_it(tmp_path: Path) -> None:
    """Every pod reports the whole queue, one that has lost it says NaN; no sample at all is an error to KEDA."""
    name = overlay("queue").workload["metadata"]["name"]
    labels = f'{{job="reaper", namespace="reaper", state="ready", pod="{name}-5d9c7b6f4-%s"}}'
    series = {
        labels % "aaaaa": "100 NaN NaN 7",
        labels % "bbbbb": "100 120 NaN NaN",
        labels.replace("ready", "scheduled") % "aaaaa": "900 900 900 900",
        # The daemon of another overlay, with a ledger of its own.
        '{job="reaper", namespace="reaper", state="ready", pod="reaper-0"}': "5000 5000 5000 5000",
    }
    query = scaled()["spec"]["triggers"][0]["metadata"]["query"]
    asked = [
        {
            "expr": query,
            "eval_time": f"{minute}m",
            "exp_samples": [] if depth is None else [{"labels": "{}", "value": depth}],
        }
        for minute, depth in enumerate((100, 120, None, 7))
    ]
    given = [{"series": f"reaper_queue_sessions{key}", "values": values} for key, values in series.items()]
    cases = {"tests": [{"interval": "1m", "input_series": given, "promql_expr_test": asked}]}
    file = tmp_path / "depth.yaml"
    file.write_text(yaml.safe_dump(cases))
    done = run(need("promtool"), "test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
