"""The settings by themselves: defaults, bounds, and what must hold between two of them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reaper.settings.schema import Settings
from reaper.settings.sections import ApiSettings


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
        Settings().worker.concurrency = 5


@pytest.mark.parametrize(
    ("tree", "word"),
    [
        ({"api": {"timeout_s": 25}}, "worker.drain_timeout_s must be more than api.timeout_s"),
        ({"api": {"timeout_s": 20}, "queue": {"lease_s": 20.9}}, "queue.lease_s must be at least api.timeout_s + 1"),
        ({"api": {"timeout_s": 4, "connect_timeout_s": 5}}, "api.connect_timeout_s must be at most api.timeout_s"),
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


def test_a_base_url_loses_its_trailing_slash() -> None:
    assert (
        Settings.model_validate({"api": {"base_url": "https://archal.ai/v1/"}}).api.base_url == "https://archal.ai/v1"
    )


def test_queue_urls_of_all_back_ends_are_settings() -> None:
    for url in ("sqlite:///x.db", "postgresql://u:p@a:5432,b:5433/db", "redis://h", "rediss://h:1/0"):
        assert Settings.model_validate({"queue": {"url": url}}).queue.url == url
    for url in ("mysql://h/db", "redis:h", "sqlite:x.db", "/var/lib/x.db", "postgresql://a b"):
        with pytest.raises(ValidationError):
            Settings.model_validate({"queue": {"url": url}})


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


def test_the_default_of_connect_timeout_follows_a_smaller_timeout() -> None:
    assert ApiSettings(timeout_s=3).connect_timeout_s == 3
    assert ApiSettings(timeout_s=30).connect_timeout_s == 5
    assert ApiSettings(timeout_s=3, connect_timeout_s=2).connect_timeout_s == 2
