"""The kustomize tree: valid for the oldest and the newest release, strict, and in step with reaper's own code."""

from __future__ import annotations

import re
import subprocess
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
import yaml

import reaper
from reaper.cli.arguments import parse
from reaper.core.errors import Exit
from reaper.core.urls import sqlite_path
from reaper.queues.open import EXTRAS, is_shared
from reaper.settings.load import load
from reaper.settings.schema import Settings
from tests.support.deploy.kube import (
    APART,
    OLDEST,
    OVERLAYS,
    PROBES,
    TREE,
    Doc,
    Overlay,
    action_on,
    faults,
    overlay,
    scaled,
    scaling_faults,
    text_of,
)
from tests.support.deploy.monitoring import run, unknown
from tests.support.programs import need

DRAIN_MARGIN_S = 10
APP_END_S = 30
"""What a test's own container is left to end in before the sidecar's turn comes."""

SECRET_URL = "postgresql://reaper:secret@engine.example/reaper"
"""What the Secret reaper-queue has for its key `url` here."""
URL_VARIABLE = {"name": "REAPER_QUEUE__URL", "valueFrom": {"secretKeyRef": {"name": "reaper-queue", "key": "url"}}}

NAT64 = IPv6Network("64:ff9b::/96")
"""Where IPv4 addresses are for pods with IPv6 alone (RFC 6052)."""
PUBLIC = ("104.18.1.1", "2606:4700::1", "64:ff9b::6812:101", "64:ff9b::808:808")
PRIVATE = (
    *("10.0.0.1", "100.64.0.1", "169.254.169.254", "172.31.255.255", "192.168.1.1", "fd00:ec2::254", "fe80::1"),
    *("64:ff9b::a00:1", "64:ff9b::6440:1", "64:ff9b::a9fe:a9fe", "64:ff9b::ac1f:ffff", "64:ff9b::c0a8:101"),
    "64:ff9b:1::a00:1",
)

every_overlay = pytest.mark.parametrize("one", OVERLAYS)


def settings_of(one: Overlay, folder: Path, url: str = SECRET_URL) -> Settings:
    """Read the overlay's reaper.toml as its container does: with its variables, and no others."""
    path = folder / "reaper.toml"
    path.write_text(one.toml)
    given = one.reaper.get("env", [])
    environ = {entry["name"]: url if entry == URL_VARIABLE else entry["value"] for entry in given}
    return load(path, parse(one.reaper["args"]).flags, environ).settings


# --- valid --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", [(), ("-k", OLDEST)], ids=["newest", OLDEST])
@pytest.mark.parametrize("one", [*OVERLAYS, *APART], ids=[*OVERLAYS, *(file.stem for file in APART)])
def test_every_object_is_valid_strictly(one: str | Path, release: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    docs = list(yaml.safe_load_all(one.read_text() if isinstance(one, Path) else text_of(one)))
    # A kind that is not Kubernetes' own has a test of its own.
    docs = [doc for doc in docs if doc["kind"] != "ScaledObject"]
    file.write_text(yaml.safe_dump_all(docs))
    done = subprocess.run(
        [need("kubernetes-validate"), "--strict", *release, str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # An object of a kind that it has no schema for is passed over, not passed.
    passed = (done.stdout + done.stderr).count(" passed for resource ")
    assert passed == len(docs) > 0


@every_overlay
def test_pods_keep_to_the_restricted_profile(one: str) -> None:
    assert faults(overlay(one).spec) == []


def test_the_namespace_enforces_the_restricted_profile() -> None:
    namespace = yaml.safe_load((TREE / "namespace.yaml").read_text())
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {doc["metadata"]["namespace"] for one in OVERLAYS for doc in overlay(one).docs} == {
        namespace["metadata"]["name"]
    }


@every_overlay
def test_the_image_is_a_release_under_a_name_to_replace(one: str) -> None:
    images = {container["name"]: container["image"] for container in overlay(one).containers}
    app = images.pop("app", "busybox:1")
    assert set(images.values()) == {f"registry.example.com/archal-reaper:{reaper.__version__}"}
    assert re.fullmatch(r"\S+:\d\S*", app), app
    dockerfile = (TREE.parent / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["reaper"]' in dockerfile, "args alone are given: the image must know the command"
    assert "USER 10001:10001" in dockerfile


# --- in step with reaper ------------------------------------------------------------------------------------------


@every_overlay
def test_the_settings_and_arguments_are_ones_that_reaper_takes(one: str, tmp_path: Path) -> None:
    settings_of(overlay(one), tmp_path)
    args = parse(overlay(one).reaper["args"])
    drains = ("run", "drain")
    expected = {"daemon": drains, "cron": ("once", None), "sidecar": ("run", "reap"), "queue": drains}
    assert (args.verb, getattr(args, "on_term", None)) == expected[one]
    for path in getattr(args, "files", []):
        mount = overlay(one).mount_of(overlay(one).reaper, path)
        assert overlay(one).volumes[mount["name"]]["configMap"] == {"name": "reaper-ids"}


@every_overlay
def test_every_path_in_the_settings_lies_on_the_right_volume(one: str, tmp_path: Path) -> None:
    rendered, settings = overlay(one), settings_of(overlay(one), tmp_path)
    # On a shared queue, what is kept here is how far files were read.
    kept = "/var/lib/reaper" if is_shared(settings.queue.url) else sqlite_path(settings.queue.url)
    ledger = rendered.mount_of(rendered.reaper, kept)
    assert not ledger.get("readOnly")
    kind = "persistentVolumeClaim" if one in ("daemon", "cron") else "emptyDir"
    assert kind in rendered.volumes[ledger["name"]]
    assert settings.api.token_file is not None
    token = rendered.mount_of(rendered.reaper, settings.api.token_file)
    assert token.get("readOnly") is True
    # With subPath it would never change.
    assert "subPath" not in token
    secret = rendered.volumes[token["name"]]["secret"]
    assert secret["secretName"] == "reaper-token"
    assert secret["items"] == [{"key": "token", "path": settings.api.token_file.name}]
    assert secret["defaultMode"] == 0o440
    if one == "sidecar":
        assert settings.intake.spool_dir is not None
        spool = rendered.mount_of(rendered.reaper, settings.intake.spool_dir)["name"]
        assert {"name": spool, "mountPath": str(settings.intake.spool_dir)} in rendered.container("app")["volumeMounts"]
        assert spool != ledger["name"]


@every_overlay
def test_the_grace_period_is_longer_than_the_drain(one: str, tmp_path: Path) -> None:
    need_s = settings_of(overlay(one), tmp_path).worker.drain_timeout_s + DRAIN_MARGIN_S
    if one == "sidecar":
        need_s += APP_END_S
    assert overlay(one).spec["terminationGracePeriodSeconds"] >= need_s


@pytest.mark.parametrize("one", ["daemon", "sidecar", "queue"])
def test_probes_ask_the_port_that_reaper_listens_on(one: str, tmp_path: Path) -> None:
    container = overlay(one).reaper
    host, _, port = settings_of(overlay(one), tmp_path).telemetry.listen.rpartition(":")
    assert host == "0.0.0.0"  # noqa: S104  # probes come from outside of the pod
    assert container["ports"] == [{"name": "metrics", "containerPort": int(port)}]
    asked = {probe: container[probe]["httpGet"] for probe in PROBES if probe in container}
    long_lived = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    paths = {
        "daemon": long_lived,
        "queue": long_lived,
        # A liveness probe would end it by SIGTERM, and that stops sessions in use.
        "sidecar": {"startupProbe": "/readyz"},
    }
    assert asked == {probe: {"path": path, "port": "metrics"} for probe, path in paths[one].items()}


@pytest.mark.parametrize("code", list(Exit))
def test_exit_code_75_starts_another_pod_and_others_fail_the_job(code: Exit) -> None:
    rules = overlay("cron").job["podFailurePolicy"]["rules"]
    if code is not Exit.OK:
        assert action_on(rules, code) == ("Ignore" if code is Exit.WORK_LEFT else "FailJob")
        assert action_on(rules, code, disrupted=True) == "Ignore"


# --- what must not happen -----------------------------------------------------------------------------------------


@every_overlay
def test_one_ledger_has_one_pod(one: str) -> None:
    rendered = overlay(one)
    match rendered.workload["kind"]:
        case "StatefulSet":
            assert rendered.workload["spec"]["replicas"] == 1
            kept = rendered.workload["spec"]["persistentVolumeClaimRetentionPolicy"]
            assert kept == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        case "CronJob":
            assert rendered.workload["spec"]["concurrencyPolicy"] == "Forbid"
            assert rendered.job["podReplacementPolicy"] == "Failed"
            assert rendered.job["backoffLimit"] == 0
            ledger = yaml.safe_load((TREE / "overlays/cron/ledger.yaml").read_text())
            (claim,) = (v["persistentVolumeClaim"] for v in rendered.spec["volumes"] if "persistentVolumeClaim" in v)
            assert claim == {"claimName": ledger["metadata"]["name"]}
        case "Deployment":
            # No ledger: its settings name a shared queue, and no claim is there to put a ledger on.
            assert not [volume for volume in rendered.volumes.values() if "persistentVolumeClaim" in volume]
            assert 'url = "postgresql://' in rendered.toml
        case kind:
            assert kind == "Job"
            assert (rendered.job.get("completions", 1), rendered.job.get("parallelism", 1)) == (1, 1)


def test_a_run_of_the_cron_job_fits_into_its_time() -> None:
    rendered = overlay("cron")
    budget_s = parse(rendered.reaper["args"]).budget_s
    assert budget_s is not None
    assert budget_s < rendered.job["activeDeadlineSeconds"]
    assert rendered.workload["spec"]["startingDeadlineSeconds"] > 10, "the controller looks every ten seconds"


@every_overlay
def test_the_token_is_in_no_environment(one: str) -> None:
    for container in overlay(one).containers:
        assert "envFrom" not in container
        names = {entry["name"]: entry for entry in container.get("env", [])}
        assert not {name for name in names if "TOKEN" in name.upper()}
        secret = [entry for entry in names.values() if "valueFrom" in entry]
        assert secret == ([URL_VARIABLE] if one == "queue" else [])
        secrets = {
            mount["name"]
            for mount in container.get("volumeMounts", [])
            if "secret" in overlay(one).volumes[mount["name"]]
        }
        assert secrets == ({"token"} if container["name"] == "reaper" else set()), container["name"]


def test_no_secret_is_in_the_tree() -> None:
    files = [file for file in TREE.rglob("*") if file.is_file()]
    assert len(files) > 10
    for file in files:
        text = file.read_text()
        assert not re.search(r"^\s*(kind: Secret|secretGenerator:|stringData:)", text, re.MULTILINE), file
        assert not re.search(r"archal_ws_\w{4,}", text), file


@every_overlay
def test_deleting_an_overlay_takes_nothing_that_is_the_users(one: str) -> None:
    kinds = {doc["kind"] for doc in overlay(one).docs}
    assert not kinds & {"Namespace", "PersistentVolumeClaim", "Secret"}
    assert "reaper-ids" not in {doc["metadata"]["name"] for doc in overlay(one).docs}
    others = {_name(doc) for other in OVERLAYS if other != one for doc in overlay(other).docs}
    assert not others & {_name(doc) for doc in overlay(one).docs}


def _name(doc: Doc) -> tuple[str, str]:
    return doc["kind"], doc["metadata"]["name"]


@every_overlay
def test_the_network_is_closed_but_for_names_the_api_and_metrics(one: str) -> None:
    (policy,) = (doc for doc in overlay(one).kinds("NetworkPolicy") if "reaper-network" in str(doc["spec"]))
    spec = policy["spec"]
    assert spec["podSelector"]["matchLabels"].items() <= overlay(one).labels.items()
    assert len(overlay(one).kinds("NetworkPolicy")) == (2 if one == "queue" else 1)
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    (scrape,) = spec["ingress"]
    assert scrape["ports"] == [{"protocol": "TCP", "port": 9464}]
    assert scrape["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    names, api = spec["egress"]
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert api["ports"] == [{"protocol": "TCP", "port": 443}]
    assert all(set(target) == {"ipBlock"} for target in api["to"]), "an empty target would be everything"
    assert all(opens(api, address) for address in PUBLIC)
    assert [address for address in PRIVATE if opens(api, address)] == []


def test_a_private_address_is_private_behind_nat64_too() -> None:
    (policy,) = overlay("daemon").kinds("NetworkPolicy")
    _, api = policy["spec"]["egress"]
    first, second = (to["ipBlock"]["except"] for to in api["to"])
    for place in map(IPv4Network, first):
        shown = IPv6Network((int(NAT64.network_address) + int(place.network_address), 96 + place.prefixlen))
        assert str(shown) in second


def opens(rule: Doc, address: str) -> bool:
    """Judge an address by the ipBlocks of a rule, as a network plugin does."""
    return any(
        ip_address(address) in ip_network(one["cidr"])
        and not any(ip_address(address) in ip_network(spared) for spared in one.get("except", []))
        for one in (to["ipBlock"] for to in rule["to"])
    )


@every_overlay
def test_the_identity_has_no_token_of_the_cluster(one: str) -> None:
    (account,) = overlay(one).kinds("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert overlay(one).spec["serviceAccountName"] == account["metadata"]["name"]
    assert not {doc["kind"] for doc in overlay(one).docs} & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


@every_overlay
def test_resources_are_bounded(one: str) -> None:
    for container in overlay(one).containers:
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    for volume in overlay(one).volumes.values():
        assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]


# --- the sidecar --------------------------------------------------------------------------------------------------


def test_the_sidecar_outlives_the_app_and_stops_no_session_in_use(tmp_path: Path) -> None:
    rendered = overlay("sidecar")
    first, second = rendered.spec["initContainers"]
    assert (first["name"], second["name"]) == ("spool", "reaper")
    assert "restartPolicy" not in first
    assert second["restartPolicy"] == "Always"
    assert settings_of(rendered, tmp_path).intake.default_after_s > rendered.job["activeDeadlineSeconds"]
    assert rendered.job["backoffLimit"] == 0
    users = {one["name"]: one["securityContext"]["runAsUser"] for one in rendered.containers}
    assert users["spool"] == users["reaper"] != users["app"]


# --- the shared queue ---------------------------------------------------------------------------------------------


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


# --- memory -------------------------------------------------------------------------------------------------------


@every_overlay
def test_the_limit_has_room_for_the_longest_list(one: str) -> None:
    """`tests/e2e/test_long_list.py` allows a daemon 210 MiB while it reads a list of 32 MiB."""
    limit = overlay(one).reaper["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    assert int(limit.removesuffix("Mi")) >= 256
