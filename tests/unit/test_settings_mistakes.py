"""Mistakes in settings: each is one line that says where it is and what must stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.errors import ConfigError
from reaper.settings.load import load
from tests.support.settings import DURATION, SECRET, loaded, refused


@pytest.fixture(autouse=True)
def no_installed_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reaper.settings.config_file.DEFAULT_CONFIG", str(tmp_path / "etc/reaper.toml"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


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


@pytest.mark.parametrize("token", ["archal_ws_…", "archal_ws_..."])
def test_a_token_copied_from_the_documentation_is_told(token: str) -> None:
    (line,) = refused(environ={"ARCHAL_TOKEN": token})
    assert line.startswith("api.token is the placeholder of the documentation")


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
