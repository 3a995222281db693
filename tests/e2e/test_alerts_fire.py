"""Every alert fires in the condition it is for: real daemons, a real Prometheus, and the rules as they are shipped.

Only time is scaled: each `for:` lasts FOR_S, and the one threshold that is an age of the process is lowered.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from reaper.sandbox.faults import Mode
from reaper.sandbox.sessions import generate
from tests.support.deploy.prometheus import Prometheus, prometheus, scaled
from tests.support.eventually import eventually
from tests.support.processes.command import Command, kill, write_ids
from tests.support.processes.daemon import daemon, page, watch
from tests.support.processes.ghosts import age_the_ghosts
from tests.support.queues.redis_server import RedisServer
from tests.support.sandbox import RunningSandbox, running_sandbox

RULES = Path(__file__).parents[2] / "config" / "prometheus" / "reaper.rules.yaml"


@dataclass(slots=True)
class Scene:
    """One daemon with a stand-in of its own, and what is done to it once Prometheus has seen it well."""

    fires: set[str]
    act: Callable[[Stage], None] | None = None
    ids: int = 8
    fail: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    lists: str = ""
    """What is wrong with its list from the start."""
    shared: bool = False
    """Its queue is on an engine of its own."""


@dataclass(slots=True)
class Stage:
    """A scene that is set up."""

    engine: RedisServer | None
    command: Command
    sandbox: RunningSandbox
    process: subprocess.Popen[str]
    ids: list[str]

    @property
    def instance(self) -> str:
        return self.command.env["REAPER_TELEMETRY__LISTEN"]

    def feed(self, *lines: str) -> None:
        write_ids(Path(self.command.env["REAPER_INTAKE__FILES"]), lines or self.ids)


def revoke(stage: Stage) -> None:
    stage.sandbox.do(lambda sandbox: setattr(sandbox, "token", "archal_ws_rotated"))
    stage.feed()


def become(mode: Mode, *, deletes_only: bool = False) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.sandbox.do(lambda sandbox: sandbox.set_mode(mode, deletes_only=deletes_only))
        stage.feed()

    return act


def hold_an_old_one(stage: Stage) -> None:
    """The operator pauses while an ID waits that was due an hour ago."""
    done = stage.command.run("pause", "--reason", "maintenance")
    assert done.returncode == 0, done.stderr
    eventually(lambda: 'reaper_paused{reason="operator"} 1.0' in page(stage.command, "/metrics")[1])
    due_at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    stage.feed(json.dumps({"session_id": stage.ids[0], "due_at": due_at}))


def take_descriptors_away(stage: Stage) -> None:
    """The slow sends of this scene hold 18 descriptors; the process has about as many of its own."""
    resource.prlimit(stage.process.pid, resource.RLIMIT_NOFILE, (40, 40))
    stage.feed()


def spoil(stage: Stage) -> None:
    """An accepted round that exists nowhere, and a line that names no session."""
    with closing(sqlite3.connect(stage.command.ledger, timeout=10)) as ledger, ledger:
        ledger.execute("UPDATE counter SET value = value + 1 WHERE name = 'accepted'")
    stage.feed(*stage.ids, "two words")


def lose_the_queue(stage: Stage) -> None:
    assert stage.engine is not None
    stage.engine.kill()


def raise_a_ghost(stage: Stage) -> None:
    """One session is answered with 204 and lives on; it was seen so a minute ago, too."""
    ghost = stage.ids[0]
    stage.sandbox.do(lambda s: s.sessions.put(replace(s.sessions[ghost], ghost=True, status="running")))
    stage.feed(ghost)
    age_the_ghosts(stage.command, ghost)


SWEEPING: dict[str, object] = {
    "discovery__enabled": "true",
    "discovery__enforce": "true",
    "discovery__interval_s": 1,
}
SCENES = {
    "well": Scene(set(), Stage.feed, ids=40, fail="502:0.1,404:0.1,429:1:0.02"),
    "credentials": Scene({"ReaperPausedForCredentials", "ReaperNoSuccess"}, revoke),
    "wrong target": Scene({"ReaperPausedForWrongTarget"}, become(Mode.HTML_404)),
    "outage": Scene({"ReaperPausedForApiDown"}, become(Mode.OUTAGE)),
    "teardown broken": Scene(
        {"ReaperSendsFailing", "ReaperDeadLettersGrowing", "ReaperDeadLettersKept"},
        Stage.feed,
        ids=40,
        fail="502:1",
        settings={"retry__max_attempts": 1},
    ),
    "forbidden": Scene({"ReaperPausedForForbiddenStorm"}, Stage.feed, ids=40, fail="403:1"),
    "operator": Scene({"ReaperPausedByOperator", "ReaperOldestDueTooOld"}, hold_an_old_one),
    "throttled": Scene({"ReaperThrottled"}, Stage.feed, fail="429:60:1"),
    "slow": Scene(
        {"ReaperSendsSlow", "ReaperFileDescriptorsLow"},
        take_descriptors_away,
        ids=60,
        fail="slow:11:1",
        settings={"worker__concurrency": 18},
    ),
    "gone": Scene({"ReaperMostlyAlreadyGone"}, Stage.feed, ids=40, fail="404:1"),
    "books": Scene({"ReaperLedgerImbalance", "ReaperInvalidLines"}, spoil),
    # Two sends that never end take both places; nothing holds the rest up.
    "stalled": Scene(
        {"ReaperStalled"},
        become(Mode.PAUSE, deletes_only=True),
        settings={
            "worker__concurrency": 2,
            "api__timeout_s": 300,
            "queue__lease_s": 400,
            "worker__drain_timeout_s": 310,
        },
    ),
    "engine away": Scene({"ReaperQueueUnavailable"}, lose_the_queue, shared=True),
    "held": Scene({"ReaperSweepHeld"}, settings={**SWEEPING, "guard__max_per_sweep": 1}, ids=40),
    "unfit list": Scene({"ReaperSweepStopped"}, settings=SWEEPING, lists="malformed"),
    "ghost": Scene(
        {"ReaperGhosts"}, raise_a_ghost, settings={"discovery__enabled": "true", "discovery__interval_s": 1}
    ),
    "crashing": Scene({"ReaperRestarting", "ReaperDown"}),
}


BY_SERIES = {
    "ReaperConfigReloadFailed", "ReaperIntakeFileMissing", "ReaperSettleLatencyBurnsFast",
    "ReaperSettleLatencyBurnsSlowly", "ReaperSpoolFileRefused", "ReaperSweepTooOld",
}  # fmt: skip
"""Tried by promtool alone, in tests/deploy/alerts/: most of them look back for hours."""


# --- the play -----------------------------------------------------------------------------------------------------


@contextmanager
def staged(scene: Scene, home: Path, seed: int) -> Iterator[Stage]:
    """Start a scene's stand-in and its daemon, with nothing to do yet."""
    home.mkdir()
    command, some = Command(home), list(generate(scene.ids, seed))
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(some, fail=scene.fail, latency="20ms"))
        if scene.lists:
            sandbox.do(lambda s: s.set_list(scene.lists))
        engine = RedisServer(home) if scene.shared else None
        if engine is not None:
            stack.callback(engine.kill)
            engine.start()
            command.env["REAPER_QUEUE__URL"] = engine.url()
        (home / "ids").touch()
        watch(command, sandbox, intake__files=home / "ids", intake__poll_s=0.2, **scene.settings)
        process = stack.enter_context(daemon(command))
        yield Stage(engine, command, sandbox, process, [session.session_id for session in some])


def crash_again_and_again(stage: Stage, server: Prometheus) -> None:
    """Kill and start it three times, each start seen by Prometheus; then leave it dead."""
    started = f'process_start_time_seconds{{instance="{stage.instance}"}}'

    def restarted(before: Mapping[str, float]) -> bool:
        return server.values(started) not in ({}, before)

    kill(stage.process)
    for _ in range(3):
        before = server.values(started)
        with daemon(stage.command):
            eventually(partial(restarted, before))
    server.poll()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_alert_fires_in_the_condition_it_is_for(tmp_path: Path) -> None:
    rules, names = scaled(RULES.read_text())
    assert set().union({"ReaperAbsent"}, BY_SERIES, *(scene.fires for scene in SCENES.values())) == names
    with ExitStack() as stack:
        server = stack.enter_context(prometheus(tmp_path / "prometheus", rules))
        stages = {
            name: stack.enter_context(staged(scene, tmp_path / name.replace(" ", "_"), seed))
            for seed, (name, scene) in enumerate(SCENES.items())
        }
        eventually(lambda: ("", "ReaperAbsent") in server.poll())
        instances = [stage.instance for stage in stages.values()]
        eventually(lambda: all(page(stage.command, "/metrics")[0] == 200 for stage in stages.values()), 60)
        server.scrape(instances)
        # Twice seen well: a counter's growth is measured from somewhere.
        seen = 'count_over_time(up{job="reaper"}[1m]) >= 2 and up == 1'
        eventually(lambda: server.values(seen).keys() == set(instances))

        for name, scene in SCENES.items():
            if scene.act is not None:
                scene.act(stages[name])
        crash_again_and_again(stages["crashing"], server)

        wanted = {(stages[name].instance, alert) for name, scene in SCENES.items() for alert in scene.fires}
        named = {stage.instance: name for name, stage in stages.items()}
        deadline = time.monotonic() + 60
        while missing := wanted - server.poll():
            assert time.monotonic() < deadline, sorted((named[at], alert) for at, alert in missing)
            time.sleep(0.3)

        of = {name: {alert for at, alert in server.fired if at == stage.instance} for name, stage in stages.items()}
        assert of["well"] == set(), "a daemon that is well was called ill"
        assert len(stages["well"].command.outcomes()) >= 30, "it had nothing to do"
        assert "ReaperNoSuccess" not in of["operator"], "a pause that was ordered is no fault"
        assert of["engine away"] == {"ReaperQueueUnavailable"}, "nothing else is known of a queue that is away"
        assert {alert for alert in of["stalled"] if alert.startswith("ReaperPaused")} == set()
    for alert, notes in server.annotations.items():
        text = " ".join(notes.values())
        assert not any(bad in text for bad in ("<error", "<no value>", "%!", "{{")), f"{alert}: {text}"
