"""A real Prometheus with the rules as they are shipped; only time is scaled."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.eventually import eventually
from tests.support.processes.daemon import free_port
from tests.support.programs import need

FOR_S = 2
LOWERED = {"ReaperNoSuccess": ("last_success_timestamp_seconds > 900", "last_success_timestamp_seconds > 5")}
"""A daemon's last success is at least its start: in a test it can't be a quarter of an hour ago."""


def scaled(text: str) -> tuple[str, set[str]]:
    """Return the rules with time scaled, and the names of the alerts."""
    rules = yaml.safe_load(text)
    names = set()
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        names.add(rule["alert"])
        if "for" in rule:
            rule["for"] = f"{FOR_S}s"
        if rule["alert"] in LOWERED:
            high, low = LOWERED[rule["alert"]]
            assert rule["expr"].count(high) == 1
            rule["expr"] = rule["expr"].replace(high, low)
    return yaml.safe_dump(rules), names


@dataclass(slots=True)
class Prometheus:
    """A Prometheus of this test's own, and every alert that it was seen to fire: (instance or "", name)."""

    url: str
    targets: Path
    fired: set[tuple[str, str]] = field(default_factory=set)
    annotations: dict[str, dict[str, str]] = field(default_factory=dict)

    def get(self, path: str, **query: str) -> Any:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> dict[str, float]:
        """Return an instant query's value by instance."""
        found = self.get("/api/v1/query", query=query)["result"]
        return {one["metric"].get("instance", ""): float(one["value"][1]) for one in found}

    def scrape(self, instances: list[str]) -> None:
        new = self.targets.with_suffix(".new")
        new.write_text(json.dumps([{"targets": instances}] if instances else []))
        new.rename(self.targets)

    def poll(self) -> set[tuple[str, str]]:
        for alert in self.get("/api/v1/alerts")["alerts"]:
            if alert["state"] == "firing":
                self.fired.add((alert["labels"].get("instance", ""), alert["labels"]["alertname"]))
                self.annotations[alert["labels"]["alertname"]] = alert["annotations"]
        return self.fired


@contextmanager
def prometheus(home: Path, rules: str) -> Iterator[Prometheus]:
    """Run one on a free port until the block ends."""
    home.mkdir()
    (home / "rules.yaml").write_text(rules)
    interval = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    discovery = [{"files": [str(home / "targets.json")], "refresh_interval": "1s"}]
    configuration = {
        "global": interval,
        "rule_files": [str(home / "rules.yaml")],
        "scrape_configs": [{"job_name": "reaper", "file_sd_configs": discovery}],
    }
    (home / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port()}"
    words = [
        need("prometheus"),
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    server = Prometheus(f"http://{address}", home / "targets.json")
    server.scrape([])
    with (home / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert process.poll() is None, (home / "log").read_text()[-2000:]
            try:
                server.get("/api/v1/alerts")
            except OSError:
                return False
            return True

        eventually(answers)
        yield server
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
