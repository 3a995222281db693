"""The grammar of URLs: of the API, of a proxy and of a queue; no message and no masked URL shows a secret."""

from pathlib import Path

import pytest

from reaper.core.urls import (
    fail_url,
    http_url,
    is_plain_remote,
    masked_ping,
    masked_receiver,
    masked_url,
    ping_url,
    proxy_url,
    queue_url,
    receiver_url,
    sqlite_path,
    sqlite_url,
)


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


def test_postgres_is_another_name_of_postgresql() -> None:
    # libpq and most platforms write it so.
    for scheme in ("postgres", "Postgres"):
        assert queue_url(f"{scheme}://u:p@h:5432/db?sslmode=require") == "postgresql://u:p@h:5432/db?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "pgsql://u:hunter2@db/reaper",
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


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "rediss"])
@pytest.mark.parametrize(
    "rest",
    [
        "u:hunt@er2@db/0",
        "u:hunt/er2@db/0",
        "u:hunt?er2@db/0",
        "u:hunt?er=2@db/0",
        "u:hunt#er2@db/0",
        "u:7/hunter2@db/0",
        "u:7?hunter2@db/0",
        "u:7#hunter2@db/0",
        "u:hunt%er2@db/0",
        "u@server:hunter2@db/0",
        ":hunt/er2@db:6379/0",
        "u:p@hunter2/x@db/0",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_without_a_piece_of_it(scheme: str, rest: str) -> None:
    with pytest.raises(ValueError, match="written as %40 %2F") as caught:
        queue_url(f"{scheme}://{rest}")
    assert not any(piece in str(caught.value) for piece in ("hunt", "er2", "er=2"))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("userinfo", ["u:hunt@er2", "u:hunt/er2", "u:hunt?er2", "u:hunt#er2", "u:7/er2", "u:hunt%er2"])
def test_the_same_is_true_for_a_proxy(scheme: str, userinfo: str) -> None:
    with pytest.raises(ValueError, match="written as %40 %2F") as caught:
        proxy_url(f"{scheme}://{userinfo}@proxy:3128")
    assert not any(piece in str(caught.value) for piece in ("hunt", "er2"))


def test_the_url_of_a_proxy_ends_with_its_port() -> None:
    assert proxy_url("http://me%40work:p%3A%2F@[::1]:3128/") == "http://me%40work:p%3A%2F@[::1]:3128"
    for url in ("http://proxy:3128/path", "http://proxy?a=b", "socks5://proxy", "proxy:3128", "http://"):
        with pytest.raises(ValueError, match="must be"):
            proxy_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:h%40u%2Fn%3Ft%25@db:5432/reaper?sslmode=require",
        "postgresql://u%40server:p@a:5432,b:5433/db?options=-c%20x&user=me@server",
        "postgresql://a:5432,b:5433/db?user=me@server",
        "postgresql:///db?host=/run/postgresql&user=me@server",
        "postgresql://[::1]:5432/db?user=me@server",
        "redis://:p@h:6379/0",
        "redis://h",
    ],
)
def test_an_escaped_password_and_an_at_sign_in_a_parameter_are_fine(url: str) -> None:
    assert queue_url(url) == url


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


def test_a_receiver_is_known_by_its_scheme_alone() -> None:
    """All else may be a token from its first character on: the host of a Slack URL is one."""
    assert receiver_url("slack://hidden/b/c/#chan") == "slack://hidden/b/c/#chan"
    assert masked_receiver("Slack://hidden/b/c/#chan?to=a,b") == "slack://********"
    for text in ("", "hidden", "slack://", "://hidden", "slack:/hidden", "slack://hidden a", "slack://hidden\n"):
        with pytest.raises(ValueError, match="must be a URL of Apprise") as caught:
            receiver_url(text)
        assert "hidden" not in str(caught.value)


def test_a_monitor_is_known_by_its_host_alone_and_hears_of_a_failure_behind_its_path() -> None:
    assert masked_ping(ping_url("https://hc.example:8443/ping/hidden?create=1")) == "https://hc.example:8443/********"
    assert fail_url("https://hc.example/hidden") == "https://hc.example/hidden/fail"
    assert fail_url("https://hc.example/hidden/?create=1") == "https://hc.example/hidden/fail?create=1"
    for text in (
        "",
        "hc.example/hidden",
        "ftp://hc.example",
        "https://u:hidden@hc.example/",
        "https://hc.example/#hidden",
    ):
        with pytest.raises(ValueError, match="must be") as caught:
            ping_url(text)
        assert "hidden" not in str(caught.value)
