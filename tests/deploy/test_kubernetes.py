"""The kustomize tree: valid for the oldest and the newest release, strict, and in step with reaper's own code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import reaper
from reaper.cli.arguments import parse
from reaper.core.errors import Exit
from reaper.core.urls import sqlite_path
from reaper.queues.open import is_shared
from reaper.settings.load import load
from reaper.settings.schema import Settings
from tests.support.deploy.kube import (
    APART,
    OLDEST,
    OVERLAYS,
    PROBES,
    TREE,
    Overlay,
    action_on,
    faults,
    overlay,
    text_of,
)
from tests.support.programs import need

DRAIN_MARGIN_S = 10
APP_END_S = 30
"""What a test's own container is left to end in before the sidecar's turn comes."""

SECRET_URL = "postgresql://reaper:secret@engine.example/reaper"
"""What the Secret reaper-queue has for its key `url` here."""
URL_VARIABLE = {"name": "REAPER_QUEUE__URL", "valueFrom": {"secretKeyRef": {"name": "reaper-queue", "key": "url"}}}


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


def test_a_run_of_the_cron_job_fits_into_its_time() -> None:
    rendered = overlay("cron")
    budget_s = parse(rendered.reaper["args"]).budget_s
    assert budget_s is not None
    assert budget_s < rendered.job["activeDeadlineSeconds"]
    assert rendered.workload["spec"]["startingDeadlineSeconds"] > 10, "the controller looks every ten seconds"


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


# --- memory -------------------------------------------------------------------------------------------------------


@every_overlay
def test_the_limit_has_room_for_the_longest_list(one: str) -> None:
    """`tests/e2e/test_long_list.py` allows a daemon 210 MiB while it reads a list of 32 MiB."""
    limit = overlay(one).reaper["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    assert int(limit.removesuffix("Mi")) >= 256
