"""What a stand-in for a cluster says of itself: its kinds, and that it validates fields."""

from __future__ import annotations

from tests.support.deploy.kube import Doc

KINDS = {
    "v1": {
        "namespaces": "Namespace",
        "pods": "Pod",
        "secrets": "Secret",
        "configmaps": "ConfigMap",
        "services": "Service",
        "serviceaccounts": "ServiceAccount",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "events": "Event",
    },
    "apps/v1": {"statefulsets": "StatefulSet", "deployments": "Deployment"},
    "batch/v1": {"jobs": "Job", "cronjobs": "CronJob"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "keda.sh/v1alpha1": {"scaledobjects": "ScaledObject"},
}
SHORT = {"persistentvolumeclaims": ["pvc"], "configmaps": ["cm"], "serviceaccounts": ["sa"], "events": ["ev"]}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovered(path: str) -> Doc | None:
    """Answer what a client asks for to learn what there is; None: it is about objects."""
    if path == "/version":
        return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = []
        for version in list(KINDS)[1:]:
            one = {"groupVersion": version, "version": version.rpartition("/")[2]}
            groups.append({"name": version.partition("/")[0], "versions": [one], "preferredVersion": one})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path == "/openapi/v3":
        paths = {path_of(version)[1:]: {"serverRelativeURL": f"/openapi/v3{path_of(version)}"} for version in KINDS}
        return {"paths": paths}
    for version, kinds in KINDS.items():
        if path == path_of(version):
            return _resources(version)
        if path == f"/openapi/v3{path_of(version)}":
            return _strict(version, kinds)
    return None


def path_of(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _resources(version: str) -> Doc:
    found = []
    for plural, kind in KINDS[version].items():
        one: Doc = {"name": plural, "singularName": kind.lower(), "namespaced": plural != "namespaces", "kind": kind}
        found.append(one | {"verbs": VERBS, "shortNames": SHORT.get(plural, [])})
        if plural in ("deployments", "statefulsets"):
            scale = {"name": f"{plural}/scale", "singularName": "", "namespaced": True, "kind": "Scale"}
            found.append(scale | {"group": "autoscaling", "version": "v1", "verbs": ["get", "patch", "update"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _strict(version: str, kinds: dict[str, str]) -> Doc:
    """Tell a client that fields are validated here, so that it does not ask for the schemas."""
    group, _, number = version.rpartition("/")
    paths = {}
    for plural, kind in kinds.items():
        known = {"group": group, "version": number, "kind": kind}
        validated = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
        path = f"{path_of(version)}/namespaces/{{namespace}}/{plural}/{{name}}"
        paths[path] = {"patch": {"x-kubernetes-group-version-kind": known, "parameters": validated, "responses": {}}}
    return {"openapi": "3.0.0", "info": {"title": "cluster", "version": "1"}, "paths": paths}


def place_of(path: str) -> tuple[str, str, str, str] | None:
    """Return the plural, namespace, name and subresource of a path."""
    for version, kinds in KINDS.items():
        if path.startswith(f"{path_of(version)}/"):
            words = path.removeprefix(f"{path_of(version)}/").split("/")
            namespace = ""
            if words[0] == "namespaces" and len(words) > 2:
                namespace, words = words[1], words[2:]
            if words[0] in kinds and len(words) <= 3:
                plural, name, below = (*words, "", "")[:3]
                return plural, namespace, name, below
    return None
