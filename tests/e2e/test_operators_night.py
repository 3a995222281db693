"""An operator's night: a sweep is held, a message says so, the page shows why, a POST with the token approves it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon, events, page, reload, watch
from tests.support.receiver import StandInReceiver
from tests.support.sandbox import running_sandbox

H = 3600.0
TOKEN = "correct-horse-battery-staple"


def act(command: Command, name: str, body: object, method: str = "POST", **headers: str) -> tuple[int, str]:
    """Send one act to the daemon; return its status and its answer."""
    url = f"http://{command.env['REAPER_TELEMETRY__LISTEN']}/acts/{name}"
    given = {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
    data = None if method == "GET" else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, given, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_night(command: Command) -> None:
    now = time.time()
    old = [Session(f"env_old{number:02}", created_at=now - 2 * H, expires_at=now - H) for number in range(24)]
    live = [Session(f"env_live{number}", created_at=now - H, expires_at=now + H) for number in range(6)]
    admins = command.home / "admins"
    admins.write_text(f"ann {TOKEN}\n")
    admins.chmod(0o600)
    more = {"discovery__enabled": "true", "discovery__enforce": "true", "telemetry__page_ids": "true"}
    with StandInReceiver() as receiver, running_sandbox([*old, *live]) as sandbox:
        watch(command, sandbox, telemetry__admin_token_file=str(admins), notify__urls=receiver.url, **more)
        with daemon(command) as process:
            eventually(lambda: bool(events(command, "sweep.held")), 20)
            [hold] = json.loads(page(command, "/status")[1])["holds"]
            receiver.wait_for(1)
            assert receiver.titles == ["reaper: a sweep waits for you"]
            assert f"reaper approve {hold['id']}" in receiver.messages[0]["message"]
            assert "env_" not in receiver.messages[0]["message"]
            _, shown = page(command, f"/holds?hold={hold['id']}")
            assert all(each.session_id in shown for each in old)
            assert not any(each.session_id in shown for each in live)
            assert "24 of 30" in shown
            order = {"hold": hold["id"], "reason": "a nightly run left them", "count": 24}
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            refused = [
                act(command, "approve", order),
                act(command, "approve", order, Authorization="Bearer guess-guess-guess-guess"),
                act(command, "approve", order, Cookie=f"token={TOKEN}"),
                act(command, "approve", order, Origin="https://evil.example", **bearer),
                act(command, "approve", order, method="GET", **bearer),
                act(command, "approve", {**order, "count": 23}, **bearer),
            ]
            assert [status for status, _ in refused] == [401, 401, 401, 403, 405, 409]
            assert sandbox.do(lambda s: dict(s.sends)) == {}
            status, answer = act(command, "approve", order, **bearer)
            assert (status, json.loads(answer)["changed"]) == (200, 24)
            eventually(lambda: len(sandbox.do(lambda s: dict(s.sends))) == 24, 20)
            eventually(lambda: json.loads(page(command, "/status")[1])["settled"]["stopped"] == 24, 20)
            assert [(each["by"], each["act"], each["count"]) for each in events(command, "operator.acted")] == [
                ("ann", "approve", 24)
            ]
            assert "a nightly run left them" in page(command, "/act")[1]
            admins.chmod(0o644)
            assert "chmod 600" in str(reload(command, process, "config.refused")["detail"])
            assert act(command, "resume", {}, **bearer)[0] == 503
        assert set(sandbox.do(lambda s: dict(s.sends))) == {each.session_id for each in old}
    decided = command.json("holds")
    assert (decided["fate"], decided["by"], decided["why"]) == ("approved", "ann", "a nightly run left them")
    assert TOKEN not in (command.home / "daemon.log").read_text()
    command.audit()
