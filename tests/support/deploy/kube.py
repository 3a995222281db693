"""The kustomize tree as data: what an overlay renders to, and the pod in it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.programs import need

TREE = Path(__file__).parents[3] / "kubernetes"
OVERLAYS = ("daemon", "cron", "sidecar", "queue")
APART = (TREE / "namespace.yaml", TREE / "overlays/cron/ledger.yaml")
"""What is applied by itself, so that no overlay takes it along when it is deleted."""

OLDEST = "1.29.0"
"""The first release whose sidecars end after the other containers."""

Doc = dict[str, Any]

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@cache
def text_of(overlay: str) -> str:
    """Return what `kubectl kustomize` makes of an overlay. Skips the test without kubectl."""
    done = subprocess.run(
        [need("kubectl"), "kustomize", str(TREE / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # It warns of deprecated fields there.
    assert done.stderr == ""
    return done.stdout


@dataclass(frozen=True, slots=True)
class Overlay:
    """One overlay: all its objects, the one that makes pods, and their template."""

    name: str
    docs: list[Doc]
    workload: Doc
    job: Doc
    """The spec that holds the template: the workload's own, or the one inside of a CronJob."""

    @property
    def spec(self) -> Doc:
        found: Doc = self.job["template"]["spec"]
        return found

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = self.job["template"]["metadata"]["labels"]
        return found

    @property
    def containers(self) -> list[Doc]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def reaper(self) -> Doc:
        """The one container that runs reaper, be it a sidecar or not."""
        return self.container("reaper")

    def container(self, name: str) -> Doc:
        (found,) = (one for one in self.containers if one["name"] == name)
        return found

    @property
    def volumes(self) -> dict[str, Doc]:
        """The volumes by name; those that come from a template of claims look like any other claim."""
        templates = self.job.get("volumeClaimTemplates", [])
        claims = {one["metadata"]["name"]: {"persistentVolumeClaim": one} for one in templates}
        return claims | {one["name"]: one for one in self.spec["volumes"]}

    def mount_of(self, container: Doc, path: str | Path) -> Doc:
        """Return the mount that a path inside of a container lies on. Fails when it lies on none."""
        found: list[Doc] = [one for one in container["volumeMounts"] if Path(path).is_relative_to(one["mountPath"])]
        assert len(found) == 1, (path, found)
        return found[0]

    def kinds(self, kind: str) -> list[Doc]:
        return [doc for doc in self.docs if doc["kind"] == kind]

    @property
    def toml(self) -> str:
        """The reaper.toml that its container sees."""
        mount = self.mount_of(self.reaper, "/etc/reaper/reaper.toml")
        name = self.volumes[mount["name"]]["configMap"]["name"]
        (found,) = (doc for doc in self.kinds("ConfigMap") if doc["metadata"]["name"] == name)
        text: str = found["data"]["reaper.toml"]
        return text


@cache
def overlay(name: str) -> Overlay:
    docs = list(yaml.safe_load_all(text_of(name)))
    (workload,) = (doc for doc in docs if doc["kind"] in ("StatefulSet", "Deployment", "CronJob", "Job"))
    job = workload["spec"]
    return Overlay(name, docs, workload, job["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else job)


def scaled() -> Doc:
    """Return the overlay's ScaledObject."""
    (found,) = overlay("queue").kinds("ScaledObject")
    return found


# --- the restricted profile of the Pod Security Standards ---------------------------------------------------------

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"
}  # fmt: skip


def faults(spec: Doc) -> list[str]:
    """Return what the profile, and our own stricter rules, have against a pod."""
    pod = spec.get("securityContext", {})
    found = [f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += [
        f"volume {one['name']} is of a kind that is not allowed"
        for one in spec.get("volumes", [])
        if not set(one) - {"name"} <= _VOLUMES
    ]
    found += ["sysctls"] if pod.get("sysctls") else []
    if spec.get("automountServiceAccountToken") is not False:
        found.append("automountServiceAccountToken is not false")
    if spec.get("enableServiceLinks") is not False:
        found.append("enableServiceLinks is not false")
    for one in [*spec.get("initContainers", []), *spec["containers"]]:
        found += [f"{one['name']}: {fault}" for fault in _container_faults(one, pod)]
    return found


def _container_faults(one: Doc, pod: Doc) -> list[str]:
    own = one.get("securityContext", {})
    both = pod | own
    rules = {
        "runAsNonRoot": both.get("runAsNonRoot") is True,
        "runAsUser": both.get("runAsUser", 0) > 0,
        "runAsGroup": both.get("runAsGroup", 0) > 0,
        "seccompProfile": both.get("seccompProfile") == {"type": "RuntimeDefault"},
        "privileged": not own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
        "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
        "procMount": own.get("procMount", "Default") == "Default",
        "seLinuxOptions, appArmorProfile, windowsOptions": not both.keys()
        & {"seLinuxOptions", "appArmorProfile", "windowsOptions"},
        "hostPort": not any(port.get("hostPort") for port in one.get("ports", [])),
        "host of a probe": not any("host" in one.get(probe, {}).get("httpGet", {}) for probe in PROBES),
        "lifecycle": "lifecycle" not in one,
    }
    return [name for name, kept in rules.items() if not kept]


# --- KEDA ---------------------------------------------------------------------------------------------------------

# Its kinds are in no schema of Kubernetes. From KEDA's CustomResourceDefinition, the fields of use here; from its
# Prometheus scaler, the metadata that it reads: others would be passed over in silence.
_SCALED = {
    "scaleTargetRef": dict, "pollingInterval": int, "cooldownPeriod": int, "initialCooldownPeriod": int,
    "minReplicaCount": int, "maxReplicaCount": int, "idleReplicaCount": int, "fallback": dict, "advanced": dict,
    "triggers": list,
}  # fmt: skip
_TRIGGER = {
    "type": str,
    "name": str,
    "metricType": str,
    "useCachedMetrics": bool,
    "authenticationRef": dict,
    "metadata": dict,
}
_PROMETHEUS = {
    "serverAddress", "query", "threshold", "activationThreshold", "ignoreNullValues", "namespace", "customHeaders",
    "queryParameters", "unsafeSsl", "timeout", "authModes",
}  # fmt: skip


def scaling_faults(doc: Doc) -> list[str]:
    """Return what is wrong with a ScaledObject whose triggers ask Prometheus."""
    spec = doc["spec"]
    found = [] if (doc["apiVersion"], doc["kind"]) == ("keda.sh/v1alpha1", "ScaledObject") else ["apiVersion or kind"]
    found += _unlike(spec, _SCALED)
    if set(spec.get("scaleTargetRef", {})) - {"apiVersion", "kind"} != {"name"}:
        found.append("scaleTargetRef")
    for trigger in spec.get("triggers", []):
        found += _unlike(trigger, _TRIGGER)
        metadata = trigger.get("metadata", {})
        found += [f"metadata.{name} is unknown" for name in metadata.keys() - _PROMETHEUS]
        found += [f"metadata.{name} is missing" for name in {"serverAddress", "query", "threshold"} - metadata.keys()]
        # The API server refuses numbers and booleans there.
        found += [f"metadata.{name} is no string" for name, value in metadata.items() if not isinstance(value, str)]
        if (trigger.get("type"), trigger.get("metricType")) != ("prometheus", "AverageValue"):
            found.append("type or metricType")
    return found


def _unlike(given: Doc, known: dict[str, type]) -> list[str]:
    return [
        f"{name} is unknown or of another type"
        for name, value in given.items()
        if name not in known or not isinstance(value, known[name]) or type(value) is bool is not known[name]
    ]


# --- what a Job makes of a failed pod -----------------------------------------------------------------------------


def action_on(rules: list[Doc], code: int, *, disrupted: bool = False) -> str:
    """Judge a failed pod by a podFailurePolicy as the Job controller does: the first rule that matches."""
    for rule in rules:
        on = rule.get("onExitCodes")
        if on is None:
            matches = disrupted and {"type": "DisruptionTarget", "status": "True"} in rule["onPodConditions"]
        else:
            assert on["containerName"] == "reaper"
            matches = (code in on["values"]) == (on["operator"] == "In")
        if matches:
            return str(rule["action"])
    return "Count"
