"""`once --metrics-file`: the metrics of a run for the node exporter's textfile collector."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reaper.app.metrics_file import MetricsFile
from reaper.core.model import Outcome, PauseReason
from reaper.settings.schema import Settings
from tests.support.queues.harness import end_one, ids, stop_one
from tests.support.queues.memory import MemoryQueue

pytestmark = pytest.mark.anyio


def samples(path: Path) -> dict[str, float]:
    """Return the samples of a metrics file by name and label values."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_it_holds_the_run_the_queue_and_the_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "reaper.prom"
    path.write_text("the run before\n")
    file = MetricsFile(str(path))
    queue = MemoryQueue()
    await queue.add(ids("a", "b", "c"))
    await stop_one(queue)
    await end_one(queue, Outcome.REJECTED, 400)
    await queue.compare_and_set("account", '{"user_id": "usr_1", "email": "who@example.com"}', was=None)
    file.metrics.latency(3.0)
    await file.count(queue, Settings())
    assert file.write(75) is None
    found = samples(path)
    assert found["reaper_once_exit_code"] == 75
    assert found["reaper_queue_sessions ready"] == 1
    assert found["reaper_dead_sessions rejected"] == 1
    assert found["reaper_dead_sessions exhausted"] == 0
    assert found["reaper_settle_latency_seconds_bucket 5.0"] == 1
    assert found["reaper_settle_latency_seconds_bucket 1.0"] == 0
    assert not [name for name in found if name.startswith("process_")]
    assert "example.com" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["reaper.prom"]


async def test_a_queue_that_is_unavailable_leaves_its_gauges_unknown(tmp_path: Path) -> None:
    path = tmp_path / "reaper.prom"
    file, queue = MetricsFile(str(path)), MemoryQueue()
    queue.store.away = True
    await file.count(queue, Settings())
    assert file.write(69) is None
    found = samples(path)
    assert found["reaper_queue_available"] == 0
    assert found["reaper_queue_sessions ready"] != found["reaper_queue_sessions ready"], "NaN"


async def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    missing = MetricsFile(str(tmp_path / "no" / "reaper.prom"))
    assert missing.write(0) == (
        f"the metrics could not be written to {tmp_path / 'no' / 'reaper.prom'}: No such file or directory"
    )
    (tmp_path / "directory.prom").mkdir()
    assert "Is a directory" in (MetricsFile(str(tmp_path / "directory.prom")).write(0) or "")
    assert os.listdir(tmp_path) == ["directory.prom"]


async def test_paused_seconds_are_counted_while_a_pause_holds_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("reaper.telemetry.metrics.time.monotonic", lambda: now[0])
    metrics = MetricsFile("unused").metrics

    def paused_s() -> float:
        metrics.work(in_flight=0, limit=1, pauses=[])
        found = text_string_to_metric_families(metrics.render().decode())
        return next(
            sample.value
            for family in found
            for sample in family.samples
            if sample.name == "reaper_paused_seconds_total" and sample.labels == {"reason": "api_down"}
        )

    metrics.paused(PauseReason.API_DOWN)
    now[0] += 5
    assert paused_s() == 5
    now[0] += 2
    metrics.resumed(PauseReason.API_DOWN)
    now[0] += 50
    assert paused_s() == 7
