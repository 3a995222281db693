"""Messages to people and pings to a monitor from the installed command, through Apprise, to a receiver of the test."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import configure, daemon, events, reload, watch
from tests.support.receiver import StandInReceiver
from tests.support.sandbox import running_sandbox, script

SECRETS = ("hidden-path", "hidden-uuid", "archal_ws_")


@pytest.fixture
def receiver() -> Iterator[StandInReceiver]:
    with StandInReceiver() as made:
        yield made


def test_cron_tells_of_dead_letters_once_and_pings_how_each_run_ended(
    command: Command, tmp_path: Path, receiver: StandInReceiver
) -> None:
    some = [session.session_id for session in generate(3, 1)]
    with running_sandbox(list(generate(3, 1))) as sandbox:
        script(sandbox, some[:1], "403")
        aim(command, sandbox, notify__urls=receiver.url, notify__heartbeat_url=receiver.ping_url)
        ids = write_ids(tmp_path / "ids.txt", some)
        first = command.run("once", str(ids))
        second = command.run("once", str(ids), "--json")
    assert (first.returncode, second.returncode) == (3, 3), first.stderr + second.stderr
    assert receiver.titles == ["reaper: 1 session could not be stopped"]
    assert "forbidden 1" in receiver.messages[0]["message"]
    assert sorted(receiver.paths) == ["/hidden-path", "/hidden-uuid/fail", "/hidden-uuid/fail"]
    everything = b"".join(receiver.bodies).decode() + first.stdout + first.stderr + second.stderr
    assert some[0] not in b"".join(receiver.bodies).decode()
    assert not any(secret in everything for secret in SECRETS)
    shown = command.run("config", "show").stdout
    assert 'urls = ["json://********"]' in shown
    assert not any(secret in shown for secret in SECRETS)


def test_a_daemon_tells_of_a_pause_and_its_end_by_the_settings_of_its_last_reload(
    command: Command, receiver: StandInReceiver
) -> None:
    with running_sandbox([]) as sandbox:
        sandbox.do(lambda api: setattr(api, "token", "another"))
        watch(command, sandbox)
        configure(command, "")
        with daemon(command) as process:
            eventually(lambda: bool(events(command, "api.paused")))
            configure(command, f'[notify]\nurls = ["{receiver.url}"]\n')
            reload(command, process)
            receiver.wait_for(1)
            sandbox.do(lambda api: setattr(api, "token", "archal_ws_sandbox"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
    assert receiver.titles == ["reaper: paused, credentials"]
    assert [event["kind"] for event in events(command, "notification.sent")] == ["credentials"]


def test_notify_test_says_of_each_receiver_whether_it_took_the_message(
    command: Command, receiver: StandInReceiver
) -> None:
    none = command.run("notify", "test")
    assert none.returncode == 78
    assert "notify.urls names no receiver" in none.stderr
    command.env["REAPER_NOTIFY__URLS"] = f"{receiver.url}, json://127.0.0.1:9/hidden-path, bogus://hidden-path"
    done = command.run("notify", "test", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["receivers"]
    assert [(each["number"], each["url"], each["ok"]) for each in found] == [
        (1, "json://********", True),
        (2, "json://********", False),
        (3, "bogus://********", False),
    ]
    plain = command.run("notify", "test").stdout.splitlines()
    assert plain[0] == "ok    1: json://********"
    assert plain[2].startswith("FAIL  3: bogus://********  Apprise knows no such service")
    assert receiver.titles == ["reaper: test"] * 2
    assert not any(secret in done.stdout + done.stderr + str(plain) for secret in SECRETS)
