"""The address of the API is pinned: to another one nothing is sent, not even the token, until it is accepted."""

from __future__ import annotations

import json
import select
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import reaper
from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.processes.command import TOKEN, Command, aim, write_ids
from tests.support.processes.daemon import daemon, events, page, watch
from tests.support.sandbox import RunningSandbox, running_sandbox


class Elsewhere:
    """A listener that never answers, and knows whether anybody connected."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    @property
    def untouched(self) -> bool:
        return not select.select([self._listener], [], [], 0)[0]


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Elsewhere(listener)


def names(n: int) -> list[str]:
    return [session.session_id for session in generate(n, 6)]


def pinned(command: Command) -> str | None:
    with sqlite3.connect(command.ledger) as ledger:
        row = ledger.execute("SELECT value FROM setting WHERE name = 'note.target'").fetchone()
    ledger.close()
    return None if row is None else str(row[0])


def pin_first(command: Command, sandbox: RunningSandbox, **settings: object) -> None:
    """Stop one session, so that the ledger has its address."""
    aim(command, sandbox, **settings)
    assert command.json("once", str(write_ids(command.home / "first", names(1))))["stopped"] == 1
    assert pinned(command) == sandbox.url


def move(command: Command, url: str) -> None:
    command.env["REAPER_API__BASE_URL"] = url


@pytest.mark.parametrize("verify", ["true", "false"])
def test_once_sends_nothing_to_another_address_and_says_both(command: Command, tmp_path: Path, verify: str) -> None:
    """A stale setting, the token and the account of before: each session would be a 404 there, booked as gone."""
    with running_sandbox(list(generate(4, 6))) as sandbox, elsewhere() as other:
        pin_first(command, sandbox, api__verify=verify)
        ids = write_ids(tmp_path / "ids", names(4)[1:])
        move(command, other.url)
        begun = time.monotonic()
        done = command.run("once", str(ids), "--json")
        assert time.monotonic() - begun < 10, "waiting would not help"
        assert (done.returncode, json.loads(done.stdout)["waiting"]) == (69, 3)
        for each in (sandbox.url, other.url, "--accept-target"):
            assert each in done.stderr
        assert TOKEN not in done.stderr
        assert other.untouched
        move(command, sandbox.url.replace("http://127.0.0.1", "HTTP://127.0.0.1") + "/")
        assert command.json("once")["stopped"] == 3, "another way to write the same address"
    command.audit()


def test_nothing_that_reads_the_api_reads_it_at_another_address(command: Command, tmp_path: Path) -> None:
    with running_sandbox(list(generate(4, 6))) as sandbox, elsewhere() as other:
        pin_first(command, sandbox)
        command.json("add", *names(4)[1:])
        move(command, other.url)
        for args, code in (
            (["check"], 1),
            (["sessions"], 69),
            (["once", "--discover", "--no-wait"], 69),
            (["once", "--dry-run", "--discover"], 69),
        ):
            done = command.run(*args)
            assert done.returncode == code, (args, done.stdout, done.stderr)
            said = " ".join((done.stdout + done.stderr).split())
            assert sandbox.url in said, args
            assert other.url in said, args
        assert "reaper check --accept-target" in " ".join(command.run("check").stdout.split())
        summary = reaper.stop_sessions(
            names(4)[1:],
            ledger=command.ledger,
            base_url=other.url,
            token=TOKEN,
            config=str(write_ids(tmp_path / "none", [])),
        )
        assert (summary.exit, summary.waiting) == (69, 3)
        assert other.url in (summary.why or "")
        for harmless in (["status"], ["dead", "list"], ["audit"], ["add", names(4)[1]]):
            assert command.run(*harmless).returncode == 0, harmless
        assert other.untouched
        assert pinned(command) == sandbox.url


def test_what_only_takes_in_pins_nothing(command: Command) -> None:
    with running_sandbox(2) as sandbox:
        aim(command, sandbox)
        command.json("add", *names(1))
        assert command.run("check").returncode == 0
        assert command.run("sessions").returncode == 0
        assert pinned(command) is None


def test_a_new_address_is_accepted_after_a_look_at_it(command: Command) -> None:
    some = list(generate(4, 6))
    with running_sandbox(list(some)) as sandbox, running_sandbox(list(some)) as new:
        pin_first(command, sandbox)
        command.json("add", *names(4)[1:])
        move(command, new.url)
        new.down()
        refused = command.run("check", "--accept-target")
        assert refused.returncode == 1
        assert "--accept-target --yes" in " ".join(refused.stdout.split())
        assert pinned(command) == sandbox.url
        new.up()
        move(command, new.url)
        said = command.json("check", "--accept-account")["lines"]
        assert [line["text"] for line in said if line["subject"] == "target"] == [
            f"accepted: {new.url}, instead of {sandbox.url}"
        ]
        assert command.json("once")["stopped"] == 3
        assert len(new.sends) == 3


@pytest.mark.parametrize("verify", ["true", "false"])
def test_an_address_that_cannot_be_read_is_accepted_by_yes_alone(command: Command, verify: str) -> None:
    with running_sandbox(list(generate(2, 6))) as sandbox, running_sandbox(2) as new:
        pin_first(command, sandbox, api__verify=verify, api__timeout_s=1, api__connect_timeout_s=1)
        new.do(lambda s: s.set_list("html"))
        move(command, new.url)
        refused = command.run("check", "--accept-target")
        assert refused.returncode == 1
        assert "--accept-target --yes" in " ".join(refused.stdout.split())
        assert pinned(command) == sandbox.url
        accepted = command.run("check", "--accept-target", "--yes", "--json")
        assert f"accepted: {new.url}" in accepted.stdout
        assert pinned(command) == new.url
        assert new.counters.lists == (2 if verify == "true" else 0)
        lonely = command.run("check", "--yes")
        assert (lonely.returncode, "--accept-target" in lonely.stderr) == (2, True)


def test_a_queue_that_cannot_be_read_lets_check_send_nothing(command: Command) -> None:
    with running_sandbox(list(generate(2, 6))) as sandbox, elsewhere() as other:
        pin_first(command, sandbox)
        command.ledger.write_bytes(b"no ledger at all" * 500)
        move(command, other.url)
        done = command.run("check")
        assert (done.returncode, "nothing was sent" in done.stdout) == (1, True)
        assert other.untouched


def test_an_older_ledger_gets_its_address_from_the_next_read_and_says_so(command: Command) -> None:
    with running_sandbox(list(generate(4, 6))) as sandbox, running_sandbox(1, user_id="usr_other") as other:
        pin_first(command, sandbox, telemetry__log_format="json", api__unavailable_wait_s=1)
        with sqlite3.connect(command.ledger) as ledger:
            ledger.execute("DELETE FROM setting WHERE name = 'note.target'")
        ledger.close()
        command.json("add", *names(4)[1:])
        move(command, other.url)
        assert command.run("once").returncode == 69
        assert pinned(command) is None, "the account is another"
        move(command, sandbox.url)
        done = command.run("once", "--json")
        assert json.loads(done.stdout)["stopped"] == 3
        assert [json.loads(line)["api"] for line in done.stderr.splitlines() if "target.pinned" in line] == [
            sandbox.url
        ]
        assert pinned(command) == sandbox.url


@pytest.mark.parametrize("verify", ["true", "false"])
def test_a_reload_to_another_address_sends_nothing_there_before_it_is_accepted(command: Command, verify: str) -> None:
    some = list(generate(200, 6))
    with running_sandbox(list(some)) as sandbox, elsewhere() as other:
        watch(command, sandbox, worker__rate_per_s=20, api__verify=verify)
        del command.env["REAPER_API__BASE_URL"]
        path = command.home / "reaper.toml"
        path.write_text(f'[api]\nbase_url = "{sandbox.url}"\n')
        command.env["REAPER_CONFIG"] = str(path)
        with daemon(command) as process:
            assert command.run("add", *names(200)).returncode == 0
            eventually(lambda: len(sandbox.sends) > 5)
            eventually(lambda: pinned(command) == sandbox.url)
            # The token is another one, too: neither may go there.
            (command.home / "token").write_text("archal_ws_other\n")
            path.write_text(f'[api]\nbase_url = "{other.url}"\ntoken_file = "{command.home / "token"}"\n')
            process.send_signal(signal.SIGHUP)
            eventually(lambda: len(events(command, "config.reloaded")) == 1, 10)
            eventually(lambda: [p["reason"] for p in command.json("status")["pauses"]] == ["wrong_target"])
            (pause,) = command.json("status")["pauses"]
            assert sandbox.url in pause["detail"]
            assert other.url in pause["detail"]
            assert page(command, "/readyz")[0] == 503
            count = len(sandbox.sends)
            time.sleep(5)  # two maintenances
            assert other.untouched
            assert len(sandbox.sends) == count
            path.write_text(f'[api]\nbase_url = "{sandbox.url}"\n')
            process.send_signal(signal.SIGHUP)
            eventually(lambda: len(sandbox.sends) > count + 5)
    assert set(command.outcomes().values()) == {"stopped"}


def test_an_address_accepted_by_another_process_holds_up_the_reaper_at_the_one_before(command: Command) -> None:
    some = list(generate(300, 6))
    with running_sandbox(list(some)) as sandbox, running_sandbox(list(some)) as new:
        watch(command, sandbox, worker__rate_per_s=20)
        with daemon(command):
            assert command.run("add", *names(300)).returncode == 0
            eventually(lambda: len(sandbox.sends) > 5)
            accept = command.run("check", "--accept-target", "--base-url", new.url)
            assert accept.returncode == 0, accept.stdout
            eventually(lambda: [p["reason"] for p in command.json("status")["pauses"]] == ["wrong_target"])
            count, lists = len(sandbox.sends), sandbox.counters.lists
            time.sleep(4)
            assert (len(sandbox.sends), sandbox.counters.lists) == (count, lists)
            assert command.run("check", "--accept-target").returncode == 0
            eventually(lambda: len(sandbox.sends) > count + 5)
        assert new.sends == {}
