"""The grammar of URLs: of the API, of a proxy and of a queue; no message and no masked URL shows a secret."""

from pathlib import Path

import pytest

from reaper.core.urls import http_url, is_plain_remote, masked_url, queue_url, sqlite_path, sqlite_url


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
        f"https://{'a' * 64}.example",
    ],
)
def test_a_base_url_is_scheme_host_and_path_alone(url: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        http_url(url)
    assert "secret" not in str(caught.value)


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
    with pytest.raises(ValueError, match=r"sqlite:///var/lib/reaper/reaper\.db"):
        sqlite_path(url)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "postgresql://u:p@a:5432,b:5433/db", "redis://h", "rediss://h:1/0"])
def test_the_scheme_of_a_queue_may_be_in_capitals(url: str) -> None:
    scheme, _, rest = url.partition(":")
    assert queue_url(url) == queue_url(f"{scheme.upper()}:{rest}") == url


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hunter2@db/reaper",
        "mysql://u:hunter2@db",
        "redis:hunter2",
        "hunter2:x",
        "/var/lib/hunter2.db",
        "postgresql://hunter2 b",
        "sqlite:hunter2.db",
        "sqlite://[hunter2/a.db",
        "sqlite:///a.db?mode=hunter2",
    ],
)
def test_another_queue_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="must b") as caught:
        queue_url(url)
    assert "hunter2" not in str(caught.value)


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
