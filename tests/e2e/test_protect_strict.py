"""An entry of `protect.*` that can match nothing stops reaper, not the session that it was meant for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, events, watch
from tests.support.sandbox import running_sandbox


def names(n: int) -> list[str]:
    return [session.session_id for session in generate(n, 6)]


@pytest.mark.parametrize("line", ["{} # production demo", '"{}"', "{},", "- {}", "{} ", "https://archal.ai/env/{}"])
def test_once_refuses_to_start_and_names_the_line(command: Command, tmp_path: Path, line: str) -> None:
    one, other = names(2)
    protected = tmp_path / "protected"
    protected.write_text(f"# ours\n{line.format(one)}\n")
    with running_sandbox(list(generate(2, 6))) as sandbox:
        aim(command, sandbox, protect__file=protected)
        done = command.run("once", str(write_ids(tmp_path / "ids", [one, other])))
        assert done.returncode == 78, done.stderr
        assert f"{protected} cannot be used: line 2 can match nothing" in " ".join(done.stderr.split())
        assert command.run("check").returncode == 1
        assert sandbox.sends == {}
        protected.write_text(f"# ours\n{one}\n")
        assert command.json("once", str(tmp_path / "ids"))["protected"] == 1
        assert set(sandbox.sends) == {other}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("ids", '["env_1 "]', "begins or ends with a blank"),
        ("ids", "'env_1'", "is quoted"),
        ("ids", '["env_*"]', "protect.globs"),
        ("globs", '["env_[0-9]*"]', "brackets"),
    ],
)
def test_a_setting_is_refused_by_its_key(command: Command, key: str, value: str, why: str) -> None:
    command.env[f"REAPER_PROTECT__{key.upper()}"] = value
    done = command.run("once")
    assert done.returncode == 78
    assert f"protect.{key}" in done.stderr
    assert why in " ".join(done.stderr.split())


def test_a_daemon_keeps_the_last_good_file(command: Command, tmp_path: Path) -> None:
    one, other, third = names(3)
    protected = tmp_path / "protected"
    protected.write_text(f"{one}\n")
    with running_sandbox(list(generate(3, 6))) as sandbox:
        watch(command, sandbox, protect__file=protected)
        with daemon(command) as process:
            eventually(lambda: bool(events(command, "reaper.ready")))
            protected.write_text(f"- {one}\n- {other}\n")
            command.json("add", one, third)
            eventually(lambda: command.outcomes() == {one: "protected", third: "stopped"})
            assert "line 1 can match nothing" in str(events(command, "intake.failed")[-1]["error"])
            process.send_signal(signal.SIGHUP)
            eventually(lambda: len(events(command, "config.refused")) == 1)
        assert set(sandbox.sends) == {third}
