"""Loading: which source wins, where each value is said to come from, and what a mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.settings.load import load
from tests.support.settings import DURATION, HOME, SECRET, loaded, refused


@pytest.fixture(autouse=True)
def no_installed_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reaper.settings.config_file.DEFAULT_CONFIG", str(tmp_path / "etc/reaper.toml"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


# --- precedence and origins ---------------------------------------------------------------------------------------


def test_nothing_given_means_defaults() -> None:
    result = loaded({})
    assert result.settings.queue.url == "sqlite:///home/me/.local/state/reaper/reaper.db"
    assert result.origins["queue.url"] == "default, in the home directory"
    assert {origin for key, origin in result.origins.items() if key != "queue.url"} == {"default"}
    assert (result.warnings, result.config_path) == ((), None)


def test_flags_win_over_environment_and_environment_over_file(file: Path) -> None:
    file.write_text(
        '[worker]\nconcurrency = 1\nadaptive = false\n[api]\nbase_url = "https://file.example"\ntimeout_s = 7\n'
    )
    environ = {"REAPER_WORKER__CONCURRENCY": "2", "REAPER_API__BASE_URL": "https://env.example"}
    result = load(
        file, {"worker.concurrency": 3, "api.token_file": None, "telemetry.log_level": "debug"}, HOME | environ
    )
    assert (result.settings.worker.concurrency, result.origins["worker.concurrency"]) == (3, "flag --concurrency")
    assert result.settings.api.base_url == "https://env.example"
    assert result.origins["api.base_url"] == "environment REAPER_API__BASE_URL"
    assert (result.settings.api.timeout_s, result.origins["api.timeout_s"]) == (7, f"file {file}")
    assert (result.settings.worker.adaptive, result.origins["worker.adaptive"]) == (False, f"file {file}")
    assert result.settings.telemetry.log_level == "debug"
    assert result.origins["telemetry.log_level"] == "flag -v"
    assert result.origins["api.token_file"] == "default"
    assert result.config_path == file


def test_the_process_environment_counts_only_when_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAPER_WORKER__CONCURRENCY", "9")
    assert load(None, {}).settings.worker.concurrency == 9
    assert load(None, {}, HOME).settings.worker.concurrency == 32


def test_which_file_is_read(tmp_path: Path, file: Path) -> None:
    other, installed = tmp_path / "other.toml", tmp_path / "etc/reaper.toml"
    file.write_text("[worker]\nconcurrency = 1\n")
    other.write_text("[worker]\nconcurrency = 2\n")
    environ = HOME | {"REAPER_CONFIG": str(other)}
    assert load(file, {}, environ).settings.worker.concurrency == 1
    assert load(None, {}, environ).settings.worker.concurrency == 2
    assert load(None, {}, HOME).settings.worker.concurrency == 32
    installed.parent.mkdir()
    installed.write_text("[worker]\nconcurrency = 3\n")
    assert load(None, {}, HOME | {"REAPER_CONFIG": ""}).settings.worker.concurrency == 3


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b,,c ", ("a", "b", "c")),
        ('["a", "c"]', ("a", "c")),
        ("", ()),
    ],
)
def test_lists_in_the_environment(text: str, items: tuple[str, ...]) -> None:
    assert loaded({"REAPER_PROTECT__IDS": text}).settings.protect.ids == items


def test_paths_lists_and_commands_from_every_source(file: Path) -> None:
    file.write_text('[intake]\nfiles = ["/a", "/b"]\nspool_dir = "/s"\n[discovery]\nowners_command = ["x", "y z"]\n')
    settings = load(file, {}, HOME).settings
    assert settings.intake.files == (Path("/a"), Path("/b"))
    assert settings.intake.spool_dir == Path("/s")
    assert settings.discovery.owners_command == ("x", "y z")
    environ = {"REAPER_INTAKE__FILES": "/c", "REAPER_DISCOVERY__OWNERS_COMMAND": "x 'y z'"}
    assert loaded(environ).settings.intake.files == (Path("/c"),)
    assert loaded(environ).settings.discovery.owners_command == ("x", "y z")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [('"1h30m"', 5400), ('"30d"', 2_592_000), ("90", 90), ("90.5", 90.5), ('"90"', 90), ('" 2m "', 120)],
)
def test_durations_in_the_file_and_in_the_environment(file: Path, text: str, seconds: float) -> None:
    file.write_text(f"[queue]\nkeep_settled_s = {text}\n")
    assert load(file, {}, HOME).settings.queue.keep_settled_s == seconds
    assert loaded({"REAPER_QUEUE__KEEP_SETTLED_S": text.strip('"')}).settings.queue.keep_settled_s == seconds


@pytest.mark.parametrize("text", ["true", '"30 days"', '"1h30"', '""', '"61m"', "3601", "[1]", '"-1s"', '"nan"', "nan"])
def test_what_is_no_duration_is_answered_with_both_forms(file: Path, text: str) -> None:
    file.write_text(f"[api]\ntimeout_s = {text}\n")
    (line,) = refused(file)
    expected = "must be a number, not true or false" if text == "true" else DURATION
    assert line == f"api.timeout_s {expected} (file {file})"


def test_an_empty_queue_url_is_the_state_directory_too() -> None:
    result = loaded({"REAPER_QUEUE__URL": "", "STATE_DIRECTORY": "/var/lib/reaper:/x"})
    assert result.settings.queue.url == "sqlite:///var/lib/reaper/reaper.db"
    assert result.origins["queue.url"] == "default, in $STATE_DIRECTORY"
    assert loaded({"STATE_DIRECTORY": "relative"}, queue__url="sqlite:///x.db").origins["queue.url"] == "flag --queue"


def test_the_common_token_variable_is_weaker_than_a_setting(file: Path) -> None:
    file.write_text('[api]\ntoken = "of-the-file"\n')
    alone = loaded({"ARCHAL_TOKEN": " common\n"})
    assert alone.settings.api.token is not None
    assert (alone.settings.api.token.get_secret_value(), alone.origins["api.token"]) == (
        "common",
        "environment ARCHAL_TOKEN",
    )
    both = load(file, {}, HOME | {"ARCHAL_TOKEN": "common"})
    assert both.settings.api.token is not None
    assert (both.settings.api.token.get_secret_value(), both.origins["api.token"]) == ("of-the-file", f"file {file}")


def test_warnings() -> None:
    assert loaded({"REAPER_QUEUE__LEASE_S": "30"}).warnings == ()
    (short,) = loaded({"REAPER_QUEUE__LEASE_S": "29.9"}).warnings
    assert short.startswith("queue.lease_s (29.9) leaves less than 10 s after api.timeout_s (20)")
    two = {"REAPER_API__TOKEN_FILE": "/t", "REAPER_API__TOKEN": "x"}
    assert loaded(two).warnings == ("api.token is set and not used: api.token_file wins",)
    assert loaded({"REAPER_API__TOKEN_FILE": "/t", "ARCHAL_TOKEN": "x"}).warnings == ()


# --- who is notified ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "ntfys://topic, mailtos://u:p@mail.example?to=a@b.c,d@e.f slack://a/b/c",
        "\nntfys://topic\nmailtos://u:p@mail.example?to=a@b.c,d@e.f\nslack://a/b/c\n",
        '["ntfys://topic", "mailtos://u:p@mail.example?to=a@b.c,d@e.f", "slack://a/b/c"]',
    ],
)
def test_receivers_in_the_environment_may_hold_commas_themselves(text: str) -> None:
    urls = loaded({"REAPER_NOTIFY__URLS": text}).settings.notify.urls
    assert urls == ("ntfys://topic", "mailtos://u:p@mail.example?to=a@b.c,d@e.f", "slack://a/b/c")


def test_a_receiver_that_is_no_url_is_named_by_its_place() -> None:
    (line,) = refused(environ={"REAPER_NOTIFY__URLS": f'["ntfys://topic", "{SECRET}"]'})
    assert line == (
        "notify.urls must be a URL of Apprise, such as ntfys://HOST/TOPIC: entry 2 is none "
        "(environment REAPER_NOTIFY__URLS)"
    )
    (line,) = refused(environ={"REAPER_NOTIFY__URLS": ",".join(["ntfys://topic"] * 21)})
    assert "must hold at most 20 URLs" in line


def test_a_monitor_is_pinged_in_the_clear_on_this_machine_alone() -> None:
    (line,) = refused(environ={"REAPER_NOTIFY__HEARTBEAT_URL": "http://hc.example/do not show".replace(" ", "-")})
    assert line.startswith("notify.heartbeat_url must be https: ")
    assert loaded({"REAPER_NOTIFY__HEARTBEAT_URL": "http://127.0.0.1/uuid"}).settings.notify.is_on
    trusted = {"REAPER_NOTIFY__HEARTBEAT_URL": "http://hc.example/uuid", "REAPER_API__ALLOW_HTTP": "true"}
    assert loaded(trusted).settings.notify.is_on
    assert not loaded({"REAPER_NOTIFY__HEARTBEAT_URL": ""}).settings.notify.is_on


def test_no_repr_of_the_settings_shows_who_is_notified() -> None:
    found = loaded({"REAPER_NOTIFY__HEARTBEAT_URL": "https://a/hidden", "REAPER_NOTIFY__URLS": "slack://hidden"})
    assert "hidden" not in repr(found)
