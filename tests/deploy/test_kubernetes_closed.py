"""The kustomize tree: one pod a ledger, no secret and no right that reaper does not need."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
import yaml

from tests.support.deploy.kube import (
    OVERLAYS,
    TREE,
    Doc,
    overlay,
)

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
