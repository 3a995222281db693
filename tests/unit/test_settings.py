"""The settings by themselves: defaults, bounds, and what must hold between two of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from reaper.core.errors import ConfigError
from reaper.settings.parsers import http_url, is_plain_remote, masked_url, sqlite_path, sqlite_url
from reaper.settings.schema import Settings


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings()
    assert settings.api.base_url == "https://archal.ai"
    assert (settings.api.timeout_s, settings.api.connect_timeout_s, settings.api.verify) == (20, 5, True)
    assert (settings.worker.concurrency, settings.worker.drain_timeout_s, settings.worker.rate_per_s) == (32, 25, 0)
    assert (settings.retry.max_attempts, settings.retry.base_s, settings.retry.cap_s) == (16, 1, 600)
    assert (settings.queue.lease_s, settings.queue.keep_settled_s) == (120, 30 * 86_400)
    assert (settings.discovery.enabled, settings.discovery.enforce) == (False, False)
    assert (settings.guard.max_per_sweep, settings.guard.max_share, settings.guard.list_shrink) == (100, 0.5, 0.5)
    assert settings.telemetry.listen == "127.0.0.1:9464"


def test_settings_read_nothing_but_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAPER_WORKER__CONCURRENCY", "5")
    monkeypatch.setenv("WORKER", '{"concurrency": 6}')
    assert Settings().worker.concurrency == 32


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().worker.concurrency = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tree", "word"),
    [
        ({"api": {"timeout_s": 25}}, "worker.drain_timeout_s must be more than api.timeout_s"),
        ({"api": {"timeout_s": 20}, "queue": {"lease_s": 20.9}}, "queue.lease_s must be at least api.timeout_s + 1"),
        ({"api": {"timeout_s": 4}}, "api.connect_timeout_s must be at most api.timeout_s"),
        ({"retry": {"base_s": 20, "cap_s": 10}}, "retry.cap_s must be at least retry.base_s"),
        ({"api": {"base_url": "http://archal.ai"}}, "api.base_url must be https"),
    ],
)
def test_contradictions_are_refused(tree: dict[str, dict[str, object]], word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(tree)
    assert word in str(caught.value)


def test_the_edges_of_the_rules_are_allowed() -> None:
    Settings.model_validate({"api": {"timeout_s": 24.9}, "queue": {"lease_s": 25.9}})
    Settings.model_validate({"api": {"timeout_s": 5}, "retry": {"base_s": 2, "cap_s": 2}})
    Settings.model_validate({"api": {"base_url": "http://archal.ai", "allow_http": True}})


@pytest.mark.parametrize(
    ("url", "plain_remote"),
    [
        ("https://archal.ai", False),
        ("http://archal.ai", True),
        ("http://localhost:8080", False),
        ("http://LOCALHOST.", False),
        ("http://127.9.9.9", False),
        ("http://[::1]:80/prefix", False),
        ("http://127.0.0.1.example.com", True),
        ("http://localhost.example.com", True),
        ("http://10.0.0.1", True),
        ("http://0.0.0.0", True),
    ],
)
def test_only_this_machine_may_be_spoken_to_in_the_clear(url: str, plain_remote: bool) -> None:
    assert is_plain_remote(http_url(url)) is plain_remote


@pytest.mark.parametrize(
    "url",
    [
        "",
        "archal.ai",
        "ftp://archal.ai",
        "https://",
        "https://:443",
        "https://archal.ai:99999",
        "https://archal.ai/?a=b",
        "https://archal.ai/?",
        "https://archal.ai/#top",
        "https://user:secret@archal.ai",
        "https://secret@archal.ai",
        "https://archal.ai\n.example.com",
        "https://archal.ai\\@example.com",
        "https://[::1",
    ],
)
def test_a_base_url_is_scheme_host_and_path_alone(url: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        http_url(url)
    assert "secret" not in str(caught.value)


def test_a_base_url_loses_its_trailing_slash() -> None:
    assert (
        Settings.model_validate({"api": {"base_url": "https://archal.ai/v1/"}}).api.base_url == "https://archal.ai/v1"
    )


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("SQLite:///a%20b/%C3%BC%3F.db", "/a b/ü?.db"),
    ],
)
def test_a_sqlite_url_names_an_absolute_path(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)
    assert sqlite_path(sqlite_url(Path(path))) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:relative.db",
        "sqlite:/var/lib/x.db",
        "sqlite://host/x.db",
        "sqlite:///",
        "sqlite:///var/lib/",
        "sqlite:///x.db?mode=ro",
        "sqlite:///x.db#a",
        "sqlite:///:memory:",
        "sqlite:///a%00b",
        "postgresql:///x",
    ],
)
def test_any_other_sqlite_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///var/lib/reaper/reaper\.db"):
        sqlite_path(url)


def test_queue_urls_of_all_back_ends_are_settings() -> None:
    for url in ("sqlite:///x.db", "postgresql://u:p@a:5432,b:5433/db", "redis://h", "rediss://h:1/0"):
        assert Settings.model_validate({"queue": {"url": url}}).queue.url == url
    for url in ("mysql://h/db", "redis:h", "sqlite:x.db", "/var/lib/x.db", "postgresql://a b"):
        with pytest.raises(ValidationError):
            Settings.model_validate({"queue": {"url": url}})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("sqlite:///var/x.db", "sqlite:///var/x.db"),
        ("postgresql://u:hidden@h/db", "postgresql://********@h/db"),
        ("postgresql://u:hid/den@hid@h/db?sslmode=require", "postgresql://********@h/db?sslmode=require"),
        ("postgresql://h/db?user=u&PassWord=hidden&x=1", "postgresql://h/db?user=u&PassWord=********&x=1"),
    ],
)
def test_secrets_in_urls_are_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_no_secret_is_in_a_repr() -> None:
    settings = Settings.model_validate(
        {
            "api": {"token": "hidden", "proxy": "http://u:hidden@proxy:3128"},
            "queue": {"url": "postgresql://u:hidden@h/db"},
        }
    )
    assert "hidden" not in f"{settings!r} {settings}"
    assert settings.api.token is not None
    assert settings.api.token.get_secret_value() == "hidden"


@pytest.mark.parametrize(
    "tree",
    [
        {"worker": {"concurrency": True}},
        {"worker": {"concurrency": 0}},
        {"worker": {"concurrency": 1001}},
        {"worker": {"concurrency": 1.5}},
        {"api": {"timeout_s": True}},
        {"api": {"timeout_s": float("nan")}},
        {"queue": {"keep_settled_s": float("inf")}},
        {"api": {"timeout_s": 0}},
        {"api": {"http": "3"}},
        {"api": {"http": True}},
        {"guard": {"max_share": 1.1}},
        {"protect": {"ids": [""]}},
        {"telemetry": {"listen": ":9464"}},
        {"telemetry": {"log_level": "loud"}},
        {"intake": {"files": [1]}},
    ],
)
def test_values_out_of_bounds_are_refused(tree: dict[str, dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(tree)


def test_friendly_forms_are_understood() -> None:
    settings = Settings.model_validate(
        {
            "api": {"http": 1.1, "ca_file": "", "proxy": "", "token": " "},
            "discovery": {"owners_command": "list-owners --team 'a b'"},
            "telemetry": {"listen": ""},
        }
    )
    assert (settings.api.http, settings.api.ca_file, settings.api.proxy, settings.api.token) == (
        "1.1",
        None,
        None,
        None,
    )
    assert settings.discovery.owners_command == ("list-owners", "--team", "a b")
    assert settings.telemetry.listen == ""


@pytest.mark.untraced  # the tracer imports more
def test_importing_stays_lean() -> None:
    def loaded_by(module: str) -> set[str]:
        code = f"import sys, {module}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        return set(done.stdout.split())

    assert not loaded_by("reaper.settings.load") & {"httpx", "anyio", "structlog", "prometheus_client", "sqlite3"}
    assert not loaded_by("reaper.settings.listen_address") & {
        "pydantic",
        "tomllib",
        "argparse",
        "urllib.parse",
        "dataclasses",
    }
