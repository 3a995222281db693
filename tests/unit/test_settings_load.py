"""Loading: which source wins, where each value is said to come from, and what a mistake is answered with."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from reaper.core.errors import ConfigError, Exit
from reaper.settings.load import Loaded, load

HOME = {"HOME": "/home/me"}
DURATION = "must be a duration above 0 to 1h, in seconds or as text such as 45s, 1h30m, 30d"
SECRET = "archal_ws_do not show"


@pytest.fixture(autouse=True)
def no_installed_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reaper.settings.config_file.DEFAULT_CONFIG", str(tmp_path / "etc/reaper.toml"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def loaded(environ: dict[str, str], **flags: object) -> Loaded:
    return load(None, {key.replace("__", "."): value for key, value in flags.items()}, HOME | environ)


def refused(config: Path | None = None, environ: dict[str, str] | None = None) -> list[str]:
    """Return the lines of the error; none of its faces shows the secret."""
    with pytest.raises(ConfigError) as caught:
        load(config, {}, HOME | (environ or {}))
    error = caught.value
    assert error.exit_code == Exit.CONFIG
    faces = [str(error), repr(error), "".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen := (seen.__cause__ or seen.__context__) if seen else None:
        faces += [str(seen), repr(seen), repr(vars(seen))]
    assert not any(SECRET in face or "do not show" in face for face in faces)
    return str(error).splitlines()


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


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("REAPER_API_TOKEN", "REAPER_API__TOKEN"),
        ("REAPER_WORKER__CONCURENCY", "REAPER_WORKER__CONCURRENCY"),
        ("REAPER_worker__concurrency", "REAPER_WORKER__CONCURRENCY"),
        ("REAPER_API__TOKEN__X", "REAPER_API__TOKEN"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest(name: str, nearest: str) -> None:
    (line,) = refused(environ={name: SECRET})
    assert line == f"unknown variable {name} (environment); the nearest known one is {nearest}"


@pytest.mark.parametrize("name", ["REAPER_API", "REAPER_X", "REAPER_" + "X" * 100_000])
def test_an_unknown_variable_that_is_near_none_is_answered_with_none(name: str) -> None:
    (line,) = refused(environ={name: SECRET})
    assert line.endswith("(environment); `reaper config schema` lists all that are known")


def test_the_variables_of_a_kubernetes_service_are_explained() -> None:
    (line,) = refused(environ={"REAPER_SERVICE_HOST": "10.0.0.1"})
    assert "enableServiceLinks: false" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[worker]\nconcurency = 1",
            "unknown key worker.concurency (file {}); the nearest known one is worker.concurrency",
        ),
        ("[wroker]\nadaptive = true", "unknown key wroker (file {}); the nearest known one is worker"),
        ("timeout_s = 1", "unknown key timeout_s (file {}); the nearest known one is api.timeout_s"),
        ("api = 'do not show'", "api must be a table, [api] (file {})"),
        ("[worker]\nconcurrency = 0", "worker.concurrency must be a whole number from 1 to 1000 (file {})"),
        ("[api.token]\nx = 'do not show'", "api.token must be a string (file {})"),
        ("[queue]\nurl = false", "queue.url must be a string (file {})"),
        (
            "[api]\nbase_url = 'http://u:do not show@h'",
            "api.base_url must be an http:// or https:// URL with a host (file {})",
        ),
        ("[intake]\nfiles = ['/a', 1, 2]", "intake.files must be a list of paths (file {})"),
        (
            "[telemetry]\nlog_level = 'do not show'",
            "telemetry.log_level must be one of debug, info, warning, error (file {})",
        ),
        (
            "[telemetry]\nlog_level = 'Warn'",
            "telemetry.log_level must be one of debug, info, warning, error (file {}). Did you mean warning?",
        ),
    ],
)
def test_a_mistake_in_the_file_is_one_line(file: Path, text: str, line: str) -> None:
    file.write_text(text)
    assert refused(file) == [line.format(file)]


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("API__TOKEN", SECRET, "api.token must be one word of visible ASCII characters"),
        ("API__PROXY", f"socks5://{SECRET}@h", "api.proxy must be an http:// or https:// URL with a host"),
        (
            "QUEUE__URL",
            "mysql://u:do not show@h",
            "queue.url must begin with sqlite:///, postgresql://, redis:// or rediss://",
        ),
        ("API__TIMEOUT_S", "do not show", f"api.timeout_s {DURATION}"),
        ("API__VERIFY", "", "api.verify must be true or false"),
        ("PROTECT__IDS", "[do not show", "protect.ids must be a list: JSON, or separated by commas"),
        ("DISCOVERY__OWNERS_COMMAND", "'do not show", "discovery.owners_command must have its quotes closed"),
    ],
)
def test_a_mistake_in_the_environment_is_one_line(name: str, value: str, must: str) -> None:
    assert refused(environ={f"REAPER_{name}": value}) == [f"{must} (environment REAPER_{name})"]


def test_a_malformed_common_token_is_not_shown() -> None:
    (line,) = refused(environ={"ARCHAL_TOKEN": SECRET})
    assert line == "api.token must be one word of visible ASCII characters (environment ARCHAL_TOKEN)"


def test_a_mistake_in_a_flag_names_the_flag() -> None:
    with pytest.raises(ConfigError, match=r"\(flag --concurrency\)$"):
        loaded({}, worker__concurrency=0)


def test_a_contradiction_names_both_origins() -> None:
    (line,) = refused(environ={"REAPER_API__TIMEOUT_S": "30"})
    assert line == (
        "worker.drain_timeout_s must be more than api.timeout_s: 25 is not more than 30 "
        "(worker.drain_timeout_s: default; api.timeout_s: environment REAPER_API__TIMEOUT_S)"
    )


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    file.write_text("[api]\ntimeout = 1\nverify = 'maybe'\n")
    lines = refused(file, {"REAPER_X": "", "REAPER_RETRY__BASE_S": "0"})
    assert [line.split(" (")[0] for line in lines] == [
        "unknown key api.timeout",
        "unknown variable REAPER_X",
        "api.verify must be true or false",
        f"retry.base_s {DURATION}",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[api]\n\ntoken = do not show\n", "is not TOML: Invalid value (at line 3,"),
        (b"[api]\ntoken = '\xff'\n", "is not UTF-8 (byte 15)"),
        (b"a = " + b"[" * 5000, "is nested too deeply"),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_the_line(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    (line,) = refused(file)
    assert line.startswith(f"the settings file {file} {words}")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_byte_order_mark_at_the_start_of_the_file_is_skipped(file: Path, ending: str) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + f"[worker]{ending}concurrency = 4{ending}".encode())
    assert load(str(file), {}, {}).settings.worker.concurrency == 4


def test_a_named_file_must_be_readable(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    expected = [f"the settings file {missing} cannot be read: No such file or directory"]
    assert refused(missing) == expected
    assert refused(environ={"REAPER_CONFIG": str(missing)}) == expected
    assert refused(tmp_path) == [f"the settings file {tmp_path} cannot be read: it is a directory, not a regular file"]


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
