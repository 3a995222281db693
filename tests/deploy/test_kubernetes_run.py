"""The containers of the overlays as processes here: their own arguments, settings, users and volumes, no cluster.

A volume is a directory with the owner and mode that kubelet gives it under the pod's fsGroup; a mounted ConfigMap or
Secret is a link into a directory that is swapped as a whole. Paths of the containers are replaced by those.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from reaper.sandbox.sessions import generate
from tests.support.deploy.kube_pod import may_change_users, pod
from tests.support.eventually import eventually
from tests.support.fault.engines import Engine, Postgres, Redis
from tests.support.processes.command import TOKEN
from tests.support.sandbox import running_sandbox


@pytest.mark.parametrize("users", [False, True], ids=["one user", "the users of the pod"])
def test_the_sidecar_stops_what_the_app_registered_when_the_pod_ends(users: bool) -> None:
    if users:
        may_change_users()
    sessions = [session.session_id for session in generate(20, 7)]
    with running_sandbox(list(generate(20, 7)), latency="20ms") as sandbox, pod("sidecar", sandbox, users=users) as one:
        # In the order of kubelet: the rooms, the sidecar up to its startup probe, the app.
        assert one.run("spool") == (0, "")
        sidecar = one.start("reaper")
        eventually(lambda: one.answers("startupProbe"))
        app = one.start("app", list(sessions))
        assert app.stdout is not None
        for session in sessions:
            assert app.stdout.readline() == f"registered {session}\n", one.said("app")
        # Long before its time is over: as when the pod is deleted.
        app.terminate()
        assert app.wait(timeout=5) == 143
        assert sandbox.sends == {}
        sidecar.terminate()
        assert sidecar.wait(timeout=60) == 0, one.said("reaper")
        assert set(sandbox.sends) == set(sessions)
        code, out = one.run("reaper", ["outcomes", "--json"])
        assert code == 0
        assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["stopped"] * len(sessions)
        assert one.run("reaper", ["audit"])[0] == 0


def test_the_daemon_answers_its_probes_and_takes_a_rotated_token() -> None:
    sessions = [session.session_id for session in generate(5, 8)]
    with running_sandbox(list(generate(5, 8))) as sandbox, pod("daemon", sandbox) as one:
        token = one.folder / "token"
        one.project(token, "token", "archal_ws_old", 0o440)
        daemon = one.start("reaper")
        eventually(lambda: one.answers("startupProbe") and not one.answers("readinessProbe"))
        assert one.answers("livenessProbe")
        # As the guide has it: IDs are handed in beside the running daemon.
        assert one.run("reaper", ["add", *sessions])[0] == 0
        assert sandbox.sends == {}
        one.project(token, "token", TOKEN, 0o440)
        eventually(lambda: one.answers("readinessProbe") and set(sandbox.sends) == set(sessions))
        daemon.terminate()
        assert daemon.wait(timeout=30) == 0, one.said("reaper")


def test_the_cron_job_goes_on_with_what_an_earlier_pod_left() -> None:
    sessions = [session.session_id for session in generate(6, 9)]
    text = "".join(f"{session}\n" for session in sessions)
    with running_sandbox(list(generate(6, 9))) as sandbox, pod("cron", sandbox, ids=text) as one:
        assert one.run("reaper", ["pause", "--reason", "a pod that was stopped early"])[0] == 0
        code, out = one.run("reaper")
        assert code == 75
        assert json.loads(out)["waiting"] == 6
        assert one.run("reaper", ["resume"])[0] == 0
        code, out = one.run("reaper")
        assert (code, json.loads(out)["stopped"]) == (0, 6), one.said("reaper")
        assert sandbox.sends == dict.fromkeys(sessions, 1)
        assert one.run("reaper")[0] == 0
        assert sandbox.sends == dict.fromkeys(sessions, 1)


# --- the shared queue ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["postgres", "redis"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    started: Engine = Postgres() if request.param == "postgres" else Redis(tmp_path)
    yield started
    started.close()


def test_pods_share_one_queue_and_one_that_goes_leaves_the_rest_to_the_others(engine: Engine) -> None:
    sessions = [session.session_id for session in generate(400, 10)]
    at_work = partial(pod, "queue", secret=engine.url)
    with (
        running_sandbox(list(generate(400, 10)), latency="500ms") as sandbox,
        at_work(sandbox) as one,
        at_work(sandbox) as other,
    ):
        first, second = one.start("reaper"), other.start("reaper")
        eventually(lambda: one.answers("readinessProbe") and other.answers("readinessProbe"))
        # Handed in at one of them, seen by both.
        assert one.run("reaper", ["add", *sessions])[0] == 0
        eventually(lambda: all(len(each.events("session.settled")) > 5 for each in (one, other)), 60)
        first.terminate()
        assert first.wait(timeout=60) == 0, one.said("reaper")
        assert len(sandbox.sends) < len(sessions), "too quick: nothing was left to the other"
        eventually(
            lambda: len(one.events("session.settled")) + len(other.events("session.settled")) == len(sessions), 60
        )
        second.terminate()
        assert second.wait(timeout=60) == 0, other.said("reaper")
        assert sandbox.sends == dict.fromkeys(sessions, 1)
        assert other.run("reaper", ["audit"])[0] == 0
        # The password is part of the URL.
        assert "s3cret" not in one.said("reaper") + other.said("reaper")


def test_a_pod_outlives_its_engine_and_is_not_ready_meanwhile(engine: Engine) -> None:
    (session,) = generate(1, 11)
    with (
        running_sandbox([session]) as sandbox,
        pod("queue", sandbox, secret=engine.url) as one,
        pod("queue", sandbox, secret=engine.url) as late,
    ):
        daemon = one.start("reaper")
        eventually(lambda: one.answers("readinessProbe"))
        engine.kill()
        eventually(lambda: not one.answers("readinessProbe"))
        eventually(lambda: len(one.events("queue.unavailable")) == 1)  # a line is written a turn of the loop later
        eventually(lambda: one.answers("livenessProbe"))  # kubelet, too, asks again
        # One that starts now ends, and is started again by Kubernetes.
        assert late.start("reaper").wait(timeout=60) == 69, late.said("reaper")
        engine.start()
        eventually(lambda: one.answers("readinessProbe"), 60)
        late.start("reaper")
        eventually(lambda: late.answers("readinessProbe"))
        assert late.run("reaper", ["add", session.session_id])[0] == 0
        eventually(lambda: set(sandbox.sends) == {session.session_id})
        daemon.terminate()
        assert daemon.wait(timeout=30) == 0, one.said("reaper")
        assert len(one.events("queue.unavailable")) == len(one.events("queue.recovered")) == 1, one.said("reaper")


def test_a_pod_without_the_variable_makes_no_ledger_of_its_own() -> None:
    with running_sandbox(0) as sandbox, pod("queue", sandbox) as one:
        assert one.start("reaper").wait(timeout=60) == 69
        assert "queue-url-of-the-secret-is-missing" in one.said("reaper")
        assert list((one.folder / "state").iterdir()) == []
