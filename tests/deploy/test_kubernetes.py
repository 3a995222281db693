"""The kustomize tree: valid for the oldest and the newest release, strict, and in step with reaper's own code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import reaper
from reaper.cli.main import parse
from reaper.errors import Exit
from reaper.settings import Settings
from reaper.settings_load import load
from reaper.settings_values import sqlite_path
from tests.deploy.kube import APART, OVERLAYS, PROBES, TREE, Doc, Overlay, action_on, faults, overlay, text_of
from tests.tools import need

OLDEST = "1.29.0"
"""The first release whose sidecars end after the other containers."""

DRAIN_MARGIN_S = 10
APP_END_S = 30
"""What a test's own container is left to end in before the sidecar's turn comes."""

GUIDE = TREE.parent / "docs" / "kubernetes.md"

every_overlay = pytest.mark.parametrize("one", OVERLAYS)


def settings_of(one: Overlay, folder: Path) -> Settings:
    """Read the overlay's reaper.toml as its container does: with its variables, and no others."""
    path = folder / "reaper.toml"
    path.write_text(one.toml)
    environ = {entry["name"]: entry["value"] for entry in one.reaper.get("env", [])}
    return load(path, parse(one.reaper["args"]).flags, environ).settings


# --- valid --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", [(), ("-k", OLDEST)], ids=["newest", OLDEST])
@pytest.mark.parametrize("one", [*OVERLAYS, *APART], ids=[*OVERLAYS, *(file.stem for file in APART)])
def test_every_object_is_valid_strictly(one: str | Path, release: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(one.read_text() if isinstance(one, Path) else text_of(one))
    done = subprocess.run(
        [need("kubernetes-validate"), "--strict", *release, str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # An object of a kind that it has no schema for is passed over, not passed.
    passed = (done.stdout + done.stderr).count(" passed for resource ")
    assert passed == len(list(yaml.safe_load_all(file.read_text())))


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
    expected = {"daemon": ("run", "drain"), "cron": ("once", None), "sidecar": ("run", "reap")}
    assert (args.verb, getattr(args, "on_term", None)) == expected[one]
    for path in getattr(args, "files", []):
        mount = overlay(one).mount_of(overlay(one).reaper, path)
        assert overlay(one).volumes[mount["name"]]["configMap"] == {"name": "reaper-ids"}


@every_overlay
def test_every_path_in_the_settings_lies_on_the_right_volume(one: str, tmp_path: Path) -> None:
    rendered, settings = overlay(one), settings_of(overlay(one), tmp_path)
    ledger = rendered.mount_of(rendered.reaper, sqlite_path(settings.queue.url))
    assert not ledger.get("readOnly")
    kind = "emptyDir" if one == "sidecar" else "persistentVolumeClaim"
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


@pytest.mark.parametrize("one", ["daemon", "sidecar"])
def test_probes_ask_the_port_that_reaper_listens_on(one: str, tmp_path: Path) -> None:
    container = overlay(one).reaper
    host, _, port = settings_of(overlay(one), tmp_path).telemetry.listen.rpartition(":")
    assert host == "0.0.0.0"  # noqa: S104  # probes come from outside of the pod
    assert container["ports"] == [{"name": "metrics", "containerPort": int(port)}]
    asked = {probe: container[probe]["httpGet"] for probe in PROBES if probe in container}
    paths = {
        "daemon": {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"},
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
        assert not [entry for entry in names.values() if "valueFrom" in entry]
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
    (policy,) = overlay(one).kinds("NetworkPolicy")
    spec = policy["spec"]
    assert spec["podSelector"]["matchLabels"].items() <= overlay(one).labels.items()
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    (scrape,) = spec["ingress"]
    assert scrape["ports"] == [{"protocol": "TCP", "port": 9464}]
    assert scrape["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    names, api = spec["egress"]
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert api["ports"] == [{"protocol": "TCP", "port": 443}]
    assert all(set(target) == {"ipBlock"} for target in api["to"]), "an empty target would be everything"
    assert "169.254.0.0/16" in api["to"][0]["ipBlock"]["except"]


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


# --- the guide ----------------------------------------------------------------------------------------------------


def test_the_guide_names_what_is_there() -> None:
    text = GUIDE.read_text()
    paths = set(re.findall(r"\bkubernetes/[\w./-]*\w", text))
    assert {f"kubernetes/overlays/{one}" for one in OVERLAYS} <= paths
    assert [path for path in paths if not (TREE.parent / path).exists()] == []
    names = {doc["metadata"]["name"] for one in OVERLAYS for doc in overlay(one).docs}
    names |= {yaml.safe_load(file.read_text())["metadata"]["name"] for file in APART}
    used = re.findall(r"\b(?:statefulset|cronjob|job|pvc|svc)/([\w-]+)", text)
    assert "agent-test-sidecar" in used
    made = {"reaper-now", "reaper-look", "ledger-reaper-0"}
    assert set(used) <= names | made
    assert OLDEST.rpartition(".")[0] in text


@every_overlay
def test_a_tree_of_your_own_renames_the_image_and_replaces_the_settings(one: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "kubernetes").symlink_to(TREE)
    (mine / "reaper.toml").write_text("[worker]\nconcurrency = 7\n")
    (mine / "kustomization.yaml").write_text(example.replace("overlays/daemon", f"overlays/{one}"))
    done = subprocess.run([need("kubectl"), "kustomize", str(mine)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "registry.example.com" not in done.stdout
    assert "concurrency = 7" in done.stdout
    assert "token_file" not in done.stdout
    assert {doc["metadata"]["namespace"] for doc in yaml.safe_load_all(done.stdout)} == {"agent-tests"}
