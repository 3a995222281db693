"""The units of systemd/: systemd has nothing to say against them, they are closed, and in step with the program."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reaper.cli.arguments import parse
from reaper.cli.commands.systemd import unit_text
from reaper.core.errors import Exit
from reaper.core.times import parse_duration
from reaper.core.urls import sqlite_url
from reaper.settings.load import load
from reaper.settings.schema import Settings
from reaper.settings.state_dir import LEDGER
from reaper.settings.token_source import CREDENTIAL
from reaper.telemetry.page.snapshot import STALLED_S
from tests.support.programs import need

UNITS = Path(__file__).parents[2] / "systemd"
DAEMON, ONCE, TIMER = "reaper.service", "reaper-once.service", "reaper-once.timer"
SHARED = "# Everything from here to the end of [Service] is the same in reaper.service and reaper-once.service.\n"
DROP_INS = {"egress": (DAEMON, ONCE), "token-file": (DAEMON, ONCE), "notify-reload": (DAEMON,)}
MAX_EXPOSURE = 1.2
"""Of 10; a client with an open way out can hardly go below 1.1."""

TARGETS = ("sysinit", "basic", "shutdown", "network-online", "time-set", "timers", "multi-user")
"""What the units lean on, as empty units: the machine's own are not what is tested here."""


def settings_of(text: str) -> dict[str, list[str]]:
    """Return the values of each key of a unit, sections flattened; comments and headings left out."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def unit(name: str) -> dict[str, list[str]]:
    return settings_of((UNITS / name).read_text())


def only(name: str, key: str) -> str:
    """Return the one value of a key of a unit."""
    (value,) = unit(name)[key]
    return value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with the units, what they run, and what they lean on."""
    folder = tmp_path / "etc" / "systemd" / "system"
    folder.mkdir(parents=True)
    for name in (DAEMON, ONCE, TIMER):
        shutil.copy(UNITS / name, folder)
    for name in TARGETS:
        (folder / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    words = [shlex.split(value)[0] for name in (DAEMON, ONCE) for key, value in _commands(name)]
    for program in words:
        file = tmp_path / program.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o755)
    return tmp_path


def _commands(name: str) -> list[tuple[str, str]]:
    return [(key, value) for key, values in unit(name).items() if key.startswith("Exec") for value in values]


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [need("systemd-analyze"), *words], capture_output=True, text=True, timeout=60, check=False, env=_PLAIN
    )


_PLAIN = {"PATH": os.environ["PATH"], "LC_ALL": "C", "SYSTEMD_COLORS": "0"}


def verify(root: Path, name: str) -> str:
    """Return all that systemd has to say against a unit; its exit code is 0 for unknown keys too."""
    done = analyze("verify", "--man=no", f"--root={root}", name)
    assert done.returncode == 0 or done.stderr, "it failed without a word"
    return done.stdout + done.stderr


def drop_in(root: Path, name: str, example: str) -> None:
    folder = root / "etc" / "systemd" / "system" / f"{name}.d"
    folder.mkdir()
    shutil.copy(UNITS / "reaper.service.d" / f"{example}.conf.example", folder / f"{example}.conf")


def systemd_version() -> int:
    found = re.match(r"systemd (\d+)", analyze("--version").stdout)
    assert found
    return int(found[1])


# --- systemd's own judgement ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [DAEMON, ONCE, TIMER])
def test_systemd_has_nothing_to_say_against_a_unit(root: Path, name: str) -> None:
    assert verify(root, name) == ""


@pytest.mark.parametrize(("example", "name"), [(one, name) for one, names in DROP_INS.items() for name in names])
def test_systemd_has_nothing_to_say_against_an_example_drop_in(root: Path, example: str, name: str) -> None:
    drop_in(root, name, example)
    said = verify(root, name)
    if example == "notify-reload" and systemd_version() < 253:
        # The one word that an older systemd does not know, and nothing else.
        assert len(said.splitlines()) == 1
        assert "notify-reload" in said
    else:
        assert said == ""


@pytest.mark.parametrize("path", ["/srv/rea per/bin/reaper", "/srv/50%/bin/reaper", "/srv/a+b@c/bin/reaper"])
@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_systemd_reads_the_path_that_show_writes(root: Path, name: str, path: str) -> None:
    """With the program there systemd has nothing to say; without it systemd names the path that it read."""
    unit_file = root / "etc" / "systemd" / "system" / name
    unit_file.write_text(unit_text(UNITS, name, path))
    assert path in verify(root, name)
    program = root / path.lstrip("/")
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    assert verify(root, name) == ""


@pytest.mark.parametrize("path", ['/srv/a"b/bin/reaper', "/srv/a'b/bin/reaper", "/srv/a\\b/bin/reaper"])
def test_systemd_refuses_the_paths_that_show_warns_of(root: Path, path: str) -> None:
    program = root / path.lstrip("/")
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    (root / "etc" / "systemd" / "system" / DAEMON).write_text(unit_text(UNITS, DAEMON, path))
    assert verify(root, DAEMON) != ""


def test_every_example_drop_in_is_tried() -> None:
    assert {file.name for file in (UNITS / "reaper.service.d").iterdir()} == {f"{one}.conf.example" for one in DROP_INS}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (DAEMON, "ProtectSystem=strict", "ProtectSytem=strict"),
        (DAEMON, "WatchdogSec=60", "WatchdogSec=soon"),
        (DAEMON, "/opt/reaper/bin/reaper run", "/opt/reaper/bin/raeper run"),
        (ONCE, "SystemCallFilter=@system-service", "SystemCallFilter=@system-services"),
        (TIMER, "OnCalendar=*:0/15", "OnCalendar=*:0/75"),
    ],
)
def test_a_slip_in_a_unit_is_seen(root: Path, name: str, right: str, wrong: str) -> None:
    file = root / "etc" / "systemd" / "system" / name
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong))
    assert verify(root, name) != ""


def exposure(path: Path) -> float:
    done = analyze("--offline=true", "security", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_a_service_is_hardly_exposed(root: Path, name: str) -> None:
    assert exposure(root / "etc" / "systemd" / "system" / name) <= MAX_EXPOSURE


def test_a_forgotten_restriction_is_seen_in_the_exposure(root: Path) -> None:
    file = root / "etc" / "systemd" / "system" / DAEMON
    file.write_text(file.read_text().replace("CapabilityBoundingSet=\n", ""))
    assert exposure(file) > MAX_EXPOSURE


@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_a_service_leaves_nothing_for_others_to_read(name: str) -> None:
    """No core file, which would hold the token, and no file that another user may open."""
    assert (only(name, "LimitCORE"), only(name, "UMask"), only(name, "StateDirectoryMode")) == ("0", "0077", "0700")


# --- both services alike --------------------------------------------------------------------------------------------


def shared_part(name: str) -> str:
    before, found, after = (UNITS / name).read_text().partition(SHARED)
    assert found, f"{name} lacks the line that begins the shared part"
    assert "[Service]" in before
    return after.partition("\n[Install]")[0].rstrip()


def test_what_both_services_share_is_the_same() -> None:
    assert shared_part(DAEMON) == shared_part(ONCE)
    assert {"User", "ProtectSystem", "CapabilityBoundingSet", "SystemCallFilter"} <= settings_of(
        shared_part(DAEMON)
    ).keys()


# --- in step with the program ---------------------------------------------------------------------------------------


def test_exit_codes_mean_to_systemd_what_they_mean_to_reaper() -> None:
    waits_for_a_human = {int(code) for code in only(DAEMON, "RestartPreventExitStatus").split()}
    assert waits_for_a_human == {Exit.USAGE, Exit.CREDENTIALS, Exit.CONFIG}
    assert int(only(ONCE, "SuccessExitStatus")) == Exit.WORK_LEFT


@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_a_stop_leaves_more_time_than_the_drain(name: str) -> None:
    assert parse_duration(only(name, "TimeoutStopSec")) >= Settings().worker.drain_timeout_s + 10


def test_a_run_may_use_up_its_time_budget() -> None:
    words = shlex.split(only(ONCE, "ExecStart"))
    # systemd's "min" is our "m".
    budget_s = parse_duration(words[words.index("--for") + 1])
    assert parse_duration(only(ONCE, "TimeoutStartSec").removesuffix("in")) >= budget_s + 60


def test_the_watchdog_is_slower_than_what_counts_as_stalled() -> None:
    assert parse_duration(only(DAEMON, "WatchdogSec")) >= STALLED_S + 10
    assert only(DAEMON, "WatchdogSignal") == "SIGABRT"
    assert "PYTHONFAULTHANDLER=1" in unit(DAEMON)["Environment"]


@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_there_are_descriptors_for_the_highest_concurrency(name: str) -> None:
    (most,) = (rule.le for rule in type(Settings().worker).model_fields["concurrency"].metadata if hasattr(rule, "le"))
    assert int(only(name, "LimitNOFILE")) >= most + 100


@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_the_command_line_is_one_that_reaper_takes(name: str) -> None:
    program, *words = shlex.split(only(name, "ExecStart"))
    assert program == "/opt/reaper/bin/reaper"
    assert parse(words).verb == words[0]


@pytest.mark.parametrize("name", [DAEMON, ONCE])
def test_the_credential_has_the_name_that_reaper_looks_for(name: str) -> None:
    assert only(name, "LoadCredential").split(":")[0] == CREDENTIAL


def all_on(text: str) -> str:
    """Return settings with every key that is commented out taken in."""
    return re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("change", [str, all_on], ids=["as it is", "every key on"])
def test_the_settings_name_the_ledger_that_the_services_would_use(tmp_path: Path, change: Callable[[str], str]) -> None:
    file = tmp_path / "reaper.toml"
    file.write_text(change((UNITS / "reaper.toml").read_text()))
    loaded = load(file, {}, {"HOME": "/nowhere"})
    state = Path("/var/lib", only(DAEMON, "StateDirectory"))
    assert loaded.settings.queue.url == sqlite_url(state / LEDGER)
    assert loaded.warnings == ()
    if change is all_on:
        assert loaded.settings.api.token_file == Path("/etc/reaper/token")
        assert loaded.settings.api.base_url == Settings().api.base_url
        assert loaded.settings.intake.files
        assert loaded.settings.intake.spool_dir
