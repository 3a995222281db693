"""The network between a reaper and its engine, or the API, loses everything in one direction or in both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.fault.checker import Bounds
from tests.support.fault.engines import Engine
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.network import Way, own_network, partition
from tests.support.fault.reapers import QUICK, Reapers, check_all_stopped, operator, waiting
from tests.support.processes import fork_server
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon, events, page, watch
from tests.support.sandbox import running_sandbox

WAYS = ["to", "from", "both"] if os.environ.get("FAULT_PROFILE") == "long" else ["both"]

pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("way", WAYS)]

BOUND = 4


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    fork_server.end()  # it has the network in which it began
    with own_network():
        yield
        fork_server.end()


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def test_from_the_engine(network: None, command: Command, engine: Engine, tmp_path: Path, way: Way) -> None:
    """What was sent is settled once the packets come through again, whichever of them were lost."""
    some = list(generate(80, 6))
    with running_sandbox(some, latency="200ms") as sandbox:
        operator(command, sandbox, engine)
        command.json("add", *(session.session_id for session in some))
        reapers = Reapers(tmp_path, sandbox, engine, 1, worker__concurrency=BOUND)
        try:
            sandbox.until(lambda s: s.counters.deletes >= 20, 30)
            with partition(port_of(engine.url), way):
                eventually(lambda: len(reapers.events("queue.unavailable")) == 1)
                sent = sandbox.do(lambda s: s.counters.deletes)
                assert page(reapers.commands[0], "/readyz")[0] == 503
                assert page(reapers.commands[0], "/livez")[0] == 200
                assert reapers.running[0].poll() is None
            assert sandbox.do(lambda s: s.counters.deletes) <= sent + 2 * BOUND
            eventually(lambda: waiting(command) == 0, 90)
            eventually(lambda: page(reapers.commands[0], "/readyz")[0] == 200)
        finally:
            reapers.close()
        # What was claimed by a script whose answer was lost waits for the end of its lease, and was not sent.
        bounds = Bounds(in_flight=BOUND, repeats=2 * BOUND)
        check_all_stopped(command, sandbox, [session.session_id for session in some], reapers, bounds)


def test_from_the_api(network: None, command: Command, way: Way) -> None:
    """It is a pause that ends by itself; what the API did unheard is found gone, and counted once."""
    some = list(generate(80, 7))
    ids = [session.session_id for session in some]
    with running_sandbox(some, latency="200ms") as sandbox:
        watch(command, sandbox, worker__concurrency=BOUND, retry__base_s=0.2, **QUICK)
        command.json("add", *ids)
        with daemon(command):
            sandbox.until(lambda s: s.counters.deletes >= 20, 30)
            with partition(port_of(sandbox.url), way):
                eventually(lambda: [event["reason"] for event in events(command, "api.paused")] == ["api_down"])
                assert page(command, "/livez")[0] == 200
            eventually(lambda: len(events(command, "api.resumed")) == 1, 60)
            eventually(lambda: waiting(command) == 0, 60)
        # Each pair of sends whose answers were lost before the pause, and the retransmissions of what never arrived.
        found = settle_up(
            command,
            sandbox.deletes,
            ids,
            Bounds(in_flight=4 * BOUND, repeats=6 * BOUND),
            logs=[command.home / "daemon.log"],
            peak_in_flight=peak(sandbox),
        )
    assert {row["outcome"] for row in found.rows} <= {"stopped", "already_gone"}
