"""docs/kubernetes.md: its trees render, kubectl and reaper take its commands, and they delete no more than it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import reaper
from reaper.sandbox.sessions import Session
from tests.support.deploy.cluster import Run, cluster
from tests.support.deploy.kube import APART, OLDEST, OVERLAYS, TREE, Doc, overlay, scaled, scaling_faults
from tests.support.docs.blocks import block, blocks
from tests.support.processes.command import TOKEN
from tests.support.programs import need
from tests.support.sandbox import running_sandbox

GUIDE = TREE.parent / "docs" / "kubernetes.md"


def beside_a_checkout(folder: Path) -> Path:
    """Make a checkout and, as the guide says, a directory beside it for what is one's own; return the second."""
    shutil.copytree(TREE, folder / "archal-reaper" / "kubernetes")
    for step in commands_of("mkdir"):
        subprocess.run(["bash", "-ec", step], cwd=folder / "archal-reaper", check=True)
    return folder / "my-reaper"


def commands_of(begin: str) -> list[str]:
    """Return the commands of the one block of the guide whose first command begins so."""
    (found,) = [one for one in blocks("docs/kubernetes.md") if one.text.startswith(f"$ {begin}")]
    return [step.command for step in found.steps]


def example(begin: str) -> str:
    """Return the one block of the guide that begins so."""
    return block("docs/kubernetes.md", begin=begin)


def kustomized(folder: Path) -> list[Doc]:
    done = subprocess.run([need("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.slow
def test_the_guide_runs_in_its_order(tmp_path: Path) -> None:
    """Every command as it stands, in a cluster's namespace that others use too; `exec` runs reaper here."""
    checkout = tmp_path / "archal-reaper"
    shutil.copytree(TREE, checkout / "kubernetes")
    (checkout / "ids.txt").write_text("env_1\nenv_2\n")
    with (
        running_sandbox([Session("env_1"), Session("env_2")]) as sandbox,
        cluster(pods(tmp_path, sandbox.url)) as there,
    ):
        environ = administrator(tmp_path, there.url)
        listed = ""
        for one in blocks("docs/kubernetes.md"):
            if one.text.startswith("apiVersion:"):
                (tmp_path / "my-reaper/kustomization.yaml").write_text(one.text)
                there.put(
                    "namespaces", "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agent-tests"}}
                )
            for step in one.steps if one.language == "console" else []:
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", step.command],
                    cwd=checkout,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                assert done.returncode == 0, f"{one.page}:{one.line}: {step.command}\n{done.stdout}{done.stderr}"
                if step.command == "kubectl apply -f kubernetes/namespace.yaml":
                    there.put(
                        "configmaps",
                        "reaper",
                        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-another-team"}},
                    )
                elif step.command.startswith("kubectl api-resources"):
                    listed = done.stdout
                elif step.command.startswith("kubectl delete -k"):
                    assert len(there.names("pods")) == 0
                if not listed:
                    assert "of-another-team" in there.names("configmaps")
                    assert step.command == "kubectl apply -f kubernetes/namespace.yaml" or there.names("secrets")
        # Before the namespace goes, its administrator has seen that it is not theirs alone.
        assert re.search(r"^configmap/of-another-team ", listed, re.MULTILINE)
        assert "secret/reaper-token" in listed
        assert "persistentvolumeclaim" not in listed, "each overlay's own is deleted with it"
        assert there.names("statefulsets", "agent-tests") == {"reaper"}
        assert [key for key in there.objects if key[1] == "reaper"] == []


def administrator(home: Path, url: str) -> dict[str, str]:
    """Return the environment of somebody whose `kubectl` speaks to a cluster."""
    who = {"name": "here", "context": {"cluster": "here", "user": "here"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "here", "user": {}}],
        "contexts": [who],
        "current-context": "here",
    }
    (home / ".kube").mkdir()
    (home / ".kube/config").write_text(yaml.safe_dump(config))
    return {
        "PATH": f"{Path(need('kubectl')).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "ARCHAL_TOKEN": TOKEN,
        "NEW_TOKEN": f"{TOKEN}2",
        "QUEUE_URL": "redis://engine.example/0",
        "NEW_QUEUE_URL": "redis://engine.example/1",
    }


def pods(folder: Path, url: str) -> Run:
    """Return what runs reaper in the place of a pod: with the ledger of its workload."""

    def run(pod: str, command: list[str], typed: bytes) -> tuple[int, bytes, bytes]:
        program, *words = command
        assert program == "reaper"
        state = folder / "ledgers" / pod.rpartition("-")[0]
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        environ = {"STATE_DIRECTORY": str(state), "ARCHAL_TOKEN": TOKEN, "REAPER_API__BASE_URL": url}
        done = subprocess.run(
            [sys.executable, "-m", "reaper", *(word.replace("/var/lib/reaper", str(state)) for word in words)],
            env=environ | {"PATH": os.environ["PATH"], "HOME": str(folder), "REAPER_TELEMETRY__LISTEN": ""},
            input=typed,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_the_guide_names_what_is_there() -> None:
    text = GUIDE.read_text()
    paths = set(re.findall(r"\bkubernetes/[\w./-]*\w", text))
    assert {f"kubernetes/overlays/{one}" for one in OVERLAYS} <= paths
    assert [path for path in paths if not (TREE.parent / path).exists()] == []
    names = {doc["metadata"]["name"] for one in OVERLAYS for doc in overlay(one).docs}
    names |= {yaml.safe_load(file.read_text())["metadata"]["name"] for file in APART}
    used = re.findall(r"\b(?:deployment|scaledobject|statefulset|cronjob|job|pvc|svc)/([\w-]+)", text)
    assert {"agent-test-sidecar", "reaper-queue"} <= set(used)
    made = {"reaper-now", "reaper-look", "ledger-reaper-0"}
    assert set(used) <= names | made
    assert OLDEST.rpartition(".")[0] in text


@pytest.mark.parametrize("one", OVERLAYS)
def test_a_tree_of_your_own_renames_the_image_and_replaces_the_settings(one: str, tmp_path: Path) -> None:
    mine = beside_a_checkout(tmp_path)
    (mine / "reaper.toml").write_text("[worker]\nconcurrency = 7\n")
    (mine / "kustomization.yaml").write_text(example("apiVersion:").replace("overlays/daemon", f"overlays/{one}"))
    done = subprocess.run([need("kubectl"), "kustomize", str(mine)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "registry.example.com" not in done.stdout
    assert "concurrency = 7" in done.stdout
    assert "token_file" not in done.stdout
    assert {doc["metadata"]["namespace"] for doc in yaml.safe_load_all(done.stdout)} == {"agent-tests"}


@pytest.mark.parametrize("one", OVERLAYS)
def test_a_tree_of_your_own_fetches_the_overlay_by_git(one: str, tmp_path: Path) -> None:
    far, mine = tmp_path / "far", tmp_path / "mine"
    shutil.copytree(TREE, far / "kubernetes")
    mine.mkdir()
    author = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "all"), ("tag", f"v{reaper.__version__}")):
        subprocess.run([need("git"), "-C", far, *words], check=True, capture_output=True)
    resources = example("# without a checkout").replace("overlays/daemon", f"overlays/{one}")
    text = example("apiVersion:").partition("configMapGenerator:")[0]
    local = re.sub(r"^resources:\n(  - .*\n)+", lambda _: resources, text, flags=re.MULTILINE)
    assert local != text
    home = tomllib.loads((TREE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
    assert f"  - {home}//kubernetes/" in local
    (mine / "kustomization.yaml").write_text(local.replace(f"{home}//", f"file://{far}//"))
    done = subprocess.run([need("kubectl"), "kustomize", str(mine)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    named = {(doc["kind"], doc["metadata"]["name"].removesuffix("-")) for doc in yaml.safe_load_all(done.stdout)}
    assert named == {(doc["kind"], doc["metadata"]["name"]) for doc in overlay(one).docs}
    assert "registry.example.com" not in done.stdout


# --- trees of one's own ---------------------------------------------------------------------------------------------


def test_the_overlay_takes_the_monitoring_that_its_scaling_needs(tmp_path: Path) -> None:
    mine = beside_a_checkout(tmp_path)
    (mine / "kustomization.yaml").write_text(example("# ../my-reaper/kustomization.yaml"))
    docs = kustomized(mine)
    (monitor,) = (doc for doc in docs if doc["kind"] == "PodMonitor")
    labels = overlay("queue").labels
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in [
        port["name"] for port in overlay("queue").reaper["ports"]
    ]
    job = labels[monitor["spec"]["jobLabel"]]
    assert f'job="{job}"' in scaled()["spec"]["triggers"][0]["metadata"]["query"]
    (policy,) = (doc for doc in docs if doc["metadata"]["name"] == "reaper-engine-queue")
    (rule,) = policy["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [6432], "the patch replaces the ports"
    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.10/32"}}]
    (changed,) = (doc for doc in docs if doc["kind"] == "ScaledObject")
    assert scaling_faults(changed) == []
    assert changed["spec"]["maxReplicaCount"] != scaled()["spec"]["maxReplicaCount"]
    assert changed["spec"]["scaleTargetRef"] == scaled()["spec"]["scaleTargetRef"]


def test_a_suffix_of_ones_own_reaches_what_keda_scales(tmp_path: Path) -> None:
    mine = beside_a_checkout(tmp_path)
    (mine / "kustomization.yaml").write_text(
        "resources: [../archal-reaper/kubernetes/overlays/queue]\nnameSuffix: -two\n"
    )
    names = {doc["kind"]: doc for doc in kustomized(mine)}
    assert names["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == names["Deployment"]["metadata"]["name"]


def test_the_overlay_without_keda(tmp_path: Path) -> None:
    mine = beside_a_checkout(tmp_path)
    patch = example("# without KEDA")
    (mine / "kustomization.yaml").write_text(f"resources: [../archal-reaper/kubernetes/overlays/queue]\n{patch}")
    kinds = {doc["kind"] for doc in kustomized(mine)}
    assert kinds == {doc["kind"] for doc in overlay("queue").docs} - {"ScaledObject"}
