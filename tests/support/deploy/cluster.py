"""A stand-in for a cluster: as much of the Kubernetes API as `kubectl` needs for the commands of docs/kubernetes.md.

Objects are kept as they come, and workloads count as rolled out at once: a pod is a name with labels, in which `exec`
runs what the test says. Nothing is scheduled, and no field is validated; for that there is test_kubernetes.py.
"""

from __future__ import annotations

import json
import select
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.deploy.cluster_discovery import KINDS, discovered, place_of
from tests.support.deploy.cluster_wire import CHANNELS, accept, decode, frames, typed
from tests.support.deploy.kube import Doc

Run = Callable[[str, list[str], bytes], tuple[int, bytes, bytes]]
"""What `exec` does: called with a pod, a command and its stdin; returns exit code, stdout and stderr."""
Key = tuple[str, str, str]
"""Plural, namespace, name."""
Place = tuple[str, str, str, str]
"""A key and a subresource."""
WATCH_S = 60.0

IN_EVERY_NAMESPACE: tuple[tuple[str, str, Doc], ...] = (
    ("configmaps", "kube-root-ca.crt", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": ""}}),
    ("serviceaccounts", "default", {"apiVersion": "v1", "kind": "ServiceAccount"}),
)
"""What Kubernetes itself puts into a namespace."""


@dataclass(slots=True)
class Cluster:
    """The objects of a cluster. `run`: what happens in a pod on `exec`."""

    run: Run
    objects: dict[Key, Doc] = field(default_factory=dict)
    url: str = ""

    def names(self, plural: str, namespace: str = "reaper") -> set[str]:
        return {name for kind, place, name in self.objects if (kind, place) == (plural, namespace)}

    def put(self, plural: str, namespace: str, doc: Doc) -> Doc:
        """Keep an object, and what a controller would make of it."""
        meta = doc.setdefault("metadata", {})
        before = self.objects.get((plural, namespace, meta["name"]))
        meta["uid"] = before["metadata"]["uid"] if before else str(uuid.uuid4())
        meta |= {"resourceVersion": uuid.uuid4().hex, "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
        if plural != "namespaces":
            meta["namespace"] = namespace
        self.objects[plural, namespace, meta["name"]] = doc
        if plural == "namespaces":
            for kind, name, own in IN_EVERY_NAMESPACE:
                self.put(kind, meta["name"], own | {"metadata": {"name": name}})
        elif plural in ("statefulsets", "deployments", "jobs"):
            self._roll_out(plural, namespace, doc)
        return doc

    def remove(self, gone: Doc) -> None:
        """Remove an object with all that it owns; a namespace with all that is in it."""
        uid, name = gone["metadata"]["uid"], gone["metadata"]["name"]
        for key, doc in list(self.objects.items()):
            owners = [one["uid"] for one in doc["metadata"].get("ownerReferences", [])]
            inside = gone["kind"] == "Namespace" and key[1] == name
            if doc is gone or inside or uid in owners:
                self.objects.pop(key, None)

    def _roll_out(self, plural: str, namespace: str, doc: Doc) -> None:
        meta, spec = doc["metadata"], doc["spec"]
        count = 1 if plural == "jobs" else spec.get("replicas", 1)
        labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        if plural == "jobs":
            labels["batch.kubernetes.io/controller-uid"] = meta["uid"]
            spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}
            doc["status"] = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
        else:
            ready = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas", "currentReplicas")
            spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
            same = {"observedGeneration": 1, "currentRevision": "1", "updateRevision": "1"}
            doc["status"] = dict.fromkeys(ready, count) | same
        phase = "Succeeded" if plural == "jobs" else "Running"
        for number in range(count):
            owner = {"apiVersion": doc["apiVersion"], "kind": doc["kind"], "name": meta["name"], "uid": meta["uid"]}
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{meta['name']}-{number}", "labels": labels, "ownerReferences": [owner]},
                "spec": spec["template"]["spec"],
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
            }
            self.put("pods", namespace, pod)
            for claim in spec.get("volumeClaimTemplates", []):
                own = {"name": f"{claim['metadata']['name']}-{meta['name']}-{number}"}
                kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
                self.put("persistentvolumeclaims", namespace, kind | {"metadata": own, "spec": claim["spec"]})


@contextmanager
def cluster(run: Run) -> Iterator[Cluster]:
    """Serve a cluster that has nothing but the namespace `default`."""
    there = Cluster(run)
    there.put("namespaces", "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    class Handler(_Handler):
        cluster = there

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    # --- answers ------------------------------------------------------------------------------------------------------

    def _answer(self, doc: Doc, code: int = 200) -> None:
        self._send(json.dumps(doc).encode(), "application/json", code)

    def _send(self, body: bytes, kind: str, code: int = 200) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, code: int, reason: str, what: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
        self._answer(status | {"message": f"{what}: {reason}"}, code)

    def _body(self) -> Doc:
        return decode(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    # --- requests -----------------------------------------------------------------------------------------------------

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        place, asked = place_of(parts.path), parse_qs(parts.query)
        if (found := discovered(parts.path)) is not None:
            self._answer(found)
        elif place is None:
            self._unknown()
        elif place[3] == "exec":
            self._exec(place[2], asked)
        elif place[3] == "log":
            self._send(b"the pod's log\n", "text/plain")
        elif place[2]:
            self._get(place)
        elif "sendInitialEvents" in asked:
            self._refuse(422, "Invalid", "sendInitialEvents")
        elif "watch" in asked:
            self._watch()
        else:
            self._list(place[0], place[1], *(asked.get(name, [""])[0] for name in ("labelSelector", "fieldSelector")))

    def _get(self, place: Place) -> None:
        if (doc := self.cluster.objects.get(place[:3])) is None:
            self._refuse(404, "NotFound", f'{place[0]} "{place[2]}"')
        else:
            self._answer(_scale_of(doc) if place[3] == "scale" else doc)

    def _list(self, plural: str, namespace: str, labels: str, fields: str) -> None:
        items = [doc for key, doc in self.cluster.objects.items() if key[:2] in ((plural, namespace), (plural, ""))]
        version = next(version for version, kinds in KINDS.items() if plural in kinds)
        head = {"kind": f"{KINDS[version][plural]}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}}
        self._answer(head | {"items": [doc for doc in items if _selected(doc, labels, fields)]})

    def do_POST(self) -> None:
        place, doc = place_of(urlsplit(self.path).path), self._body()
        if place is None or place[2]:
            self._unknown()
            return
        plural, namespace, name = place[0], place[1], doc["metadata"]["name"]
        if (plural, namespace, name) in self.cluster.objects:
            self._refuse(409, "AlreadyExists", name)
        elif namespace and ("namespaces", "", namespace) not in self.cluster.objects:
            self._refuse(404, "NotFound", f'namespaces "{namespace}"')
        else:
            for owner in doc["metadata"].get("ownerReferences", []):
                if owner["kind"] == "CronJob" and "spec" not in doc:
                    template = self.cluster.objects["cronjobs", namespace, owner["name"]]["spec"]["jobTemplate"]
                    doc["spec"] = json.loads(json.dumps(template["spec"]))
            self._answer(self.cluster.put(plural, namespace, doc), 201)

    def do_PUT(self) -> None:
        self._change(lambda _, new: new)

    def do_PATCH(self) -> None:
        self._change(_merged)

    def do_DELETE(self) -> None:
        self._change(lambda before, _: self.cluster.remove(before))

    def _change(self, how: Callable[[Doc, Doc], Doc | None]) -> None:
        place, given = place_of(urlsplit(self.path).path), self._body()
        if place is None or not place[2]:
            self._unknown()
            return
        plural, namespace, name, below = place
        before = self.cluster.objects.get(place[:3])
        if before is None:
            self._refuse(404, "NotFound", name)
        elif below == "scale":
            before["spec"]["replicas"] = given["spec"]["replicas"]
            self._answer(_scale_of(self.cluster.put(plural, namespace, before)))
        elif (changed := how(before, given)) is None:
            self._answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        else:
            self._answer(self.cluster.put(plural, namespace, changed))

    def _unknown(self) -> None:
        self._refuse(404, "NotFound", self.path)

    # --- what lasts ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Report no change, until the client leaves."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        select.select([self.connection], [], [], WATCH_S)
        self.close_connection = True

    def _exec(self, pod: str, asked: dict[str, list[str]]) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept(self.headers["Sec-WebSocket-Key"]))
        self.send_header("Sec-WebSocket-Protocol", CHANNELS)
        self.end_headers()
        self.wfile.flush()
        stdin = typed(self.rfile.read) if asked.get("stdin") else b""
        for frame in frames(*self.cluster.run(pod, asked["command"], stdin)):
            self.wfile.write(frame)
        self.wfile.flush()
        self.close_connection = True


def _selected(doc: Doc, labels: str, fields: str) -> bool:
    own = doc["metadata"].get("labels", {})
    for pair in filter(None, labels.split(",")):
        name, _, value = pair.replace("==", "=").partition("=")
        if own.get(name) != value:
            return False
    wanted = dict(pair.split("=", 1) for pair in filter(None, fields.split(",")) if pair.startswith("metadata.name="))
    return bool(wanted.get("metadata.name", doc["metadata"]["name"]) == doc["metadata"]["name"])


def _scale_of(doc: Doc) -> Doc:
    meta = {name: doc["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    count = {"replicas": doc["spec"].get("replicas", 1)}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": count, "status": count}


def _merged(old: Any, new: Any) -> Any:
    """Apply a merge patch."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    both = {name: _merged(old.get(name), value) for name, value in new.items() if not name.startswith("$")}
    return {name: value for name, value in (old | both).items() if value is not None}
